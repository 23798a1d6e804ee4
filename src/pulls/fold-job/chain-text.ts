import type { Micros } from '../../events/calendar.js'
import { EMPTY, type ManifestKind, type OpenAside, type OpenInvocation } from '../fold/open-invocation.js'
import type { Aside, ChainKey } from '../fold/outcome.js'
import type { Chain } from '../fold/state.js'
import type { Share } from './share.js'

/** The position of a text in the list of texts. Each text is stored once: digests are long and occur often. */
type Ordinal = number
type StoredInvocation = [
  id: string,
  at: Micros,
  last: Micros,
  byTag: 0 | 1,
  tag: string | null,
  digest: Ordinal | null,
  gets: number,
  bytes: number,
  startsSession: 0 | 1,
  lastKind: ManifestKind | null,
  lastDigest: Ordinal | null,
  images: Ordinal[],
  named: Ordinal[],
  fetched: Ordinal[],
  references: Ordinal[],
  repeated: Ordinal[],
  layers: Ordinal[],
  ...added: [] | [activeAfterLast: Micros, configured: Ordinal[]],
]
type StoredAside = [aside: Omit<Aside, keyof ChainKey>, active: Micros, ...added: [] | [blobs: Ordinal[]]]
/** Chains that an earlier version stored lack the values in `added`. */
type StoredState = [
  lastAt: Micros | null,
  texts: string[],
  open: StoredInvocation[],
  requests: Chain['requests'],
  orphan: StoredAside | null,
  ...added: [] | [artifacts: StoredAside[]] | [artifacts: StoredAside[], awaitsSession: 1],
]

/** Serializes a chain for storage. The text is short, because each fold that continues the chain writes it again. */
export const textOf = ({ lastAt, open, artifacts, awaitsSession, requests, orphan }: Chain): string => {
  const numbers = new Map<string, Ordinal>()
  const numberOf = (text: string): Ordinal => {
    const known = numbers.get(text)
    if (known !== undefined) return known
    numbers.set(text, numbers.size)
    return numbers.size - 1
  }
  const numbersOf = (texts: readonly string[]): Ordinal[] => (texts.length === 0 ? NO_NUMBERS : texts.map(numberOf))
  const storedAside = (aside: OpenAside): StoredAside => {
    const { what, id, at, tag, digest, bytes, active, blobs } = aside
    const stored = { what, id, at, bytes, ...(tag !== undefined && { tag }), ...(digest !== undefined && { digest }) }
    return [stored, active, numbersOf(blobs)]
  }
  const all = open.map((one): StoredInvocation => [
    one.id,
    one.at,
    one.last,
    one.by === 'tag' ? 1 : 0,
    one.tag ?? null,
    one.digest === undefined ? null : numberOf(one.digest),
    one.gets,
    one.bytes,
    one.startsSession ? 1 : 0,
    one.lastKind ?? null,
    one.lastDigest === undefined ? null : numberOf(one.lastDigest),
    numbersOf(one.images),
    numbersOf(one.named),
    numbersOf(one.fetched),
    numbersOf(one.references),
    numbersOf(one.repeated),
    numbersOf(one.fetchedLayers),
    one.active - one.last,
    numbersOf(one.configured),
  ])
  const others = artifacts.map(storedAside)
  const session = orphan ? storedAside(orphan) : null
  const stored: StoredState = [
    lastAt ?? null,
    [...numbers.keys()],
    all,
    requests,
    session,
    ...(others.length > 0 || awaitsSession ? [others] : []),
    ...(awaitsSession ? [1] : []),
  ] as StoredState
  return JSON.stringify(stored)
}

/** Parses a stored chain. */
export const chainIn = (text: string, key: ChainKey, share: Share): Chain => {
  const [lastAt, own, open, requests, orphan, artifacts = [], awaitsSession] = JSON.parse(text) as StoredState
  const texts = own.map(share)
  const textAt = (number: Ordinal): string => texts[number] ?? ''
  const textsAt = (numbers: Ordinal[]): readonly string[] => (numbers.length === 0 ? EMPTY : numbers.map(textAt))
  const asideIn = ([aside, active, blobs = NO_NUMBERS]: StoredAside): OpenAside => ({
    ...aside,
    ...key,
    active,
    blobs: textsAt(blobs),
  })
  return {
    key,
    open: open.map(
      ([id, at, last, byTag, tag, digest, gets, bytes, starts, lastKind, lastDigest, ...lists]): OpenInvocation => ({
        registry: key.registry,
        repository: key.repository,
        origin: key.origin,
        what: 'invocation',
        id,
        at,
        last,
        by: byTag === 1 ? 'tag' : 'digest',
        tag: tag === null ? undefined : share(tag),
        digest: digest === null ? undefined : textAt(digest),
        gets,
        images: textsAt(lists[0]),
        layers: lists[5].length,
        bytes,
        startsSession: starts === 1,
        named: textsAt(lists[1]),
        fetched: textsAt(lists[2]),
        references: textsAt(lists[3]),
        repeated: textsAt(lists[4]),
        lastKind: lastKind ?? undefined,
        lastDigest: lastDigest === null ? undefined : textAt(lastDigest),
        fetchedLayers: textsAt(lists[5]),
        active: last + (lists[6] ?? 0),
        configured: textsAt(lists[7] ?? NO_NUMBERS),
      }),
    ),
    artifacts: artifacts.map(asideIn),
    // In an earlier version, any request began a session.
    awaitsSession: lastAt === null || awaitsSession === 1,
    requests,
    quietUntil: 0,
    ...(lastAt !== null && { lastAt }),
    ...(orphan && { orphan: asideIn(orphan) }),
  }
}

const NO_NUMBERS: Ordinal[] = []
