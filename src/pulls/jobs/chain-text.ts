import type { Micros } from '../../events/calendar.js'
import { NONE, type Kind, type OpenInvocation } from '../fold/open-invocation.js'
import type { Aside, Place } from '../fold/outcome.js'
import type { Chain } from '../fold/state.js'

/** A text is told once in a chain, and after that by its number: digests are long, and stand in many places. */
type Ordinal = number
type Open = [
  ...[id: string, at: Micros, last: Micros, byTag: 0 | 1, tag: string | null, digest: Ordinal | null],
  ...[gets: number, bytes: number, startsSession: 0 | 1, lastKind: Kind | null, lastDigest: Ordinal | null],
  lists: [
    images: Ordinal[],
    named: Ordinal[],
    fetched: Ordinal[],
    references: Ordinal[],
    repeated: Ordinal[],
    layers: Ordinal[],
  ],
]
type Orphan = [session: Omit<Aside, keyof Place>, last: Micros]
type Kept = [heard: Micros | null, texts: string[], open: Open[], requests: Chain['requests'], orphan: Orphan | null]

/** A chain as it is kept: short, as it is written with each batch that goes on with it. */
export const textOf = ({ heard, open, requests, orphan }: Chain): string => {
  const numbers = new Map<string, Ordinal>()
  const numberOf = (text: string): Ordinal => {
    const known = numbers.get(text)
    if (known !== undefined) return known
    numbers.set(text, numbers.size)
    return numbers.size - 1
  }
  const all = open.map((one): Open => {
    const { images, named, fetched, references, repeated, fetchedLayers } = one
    return [
      ...([one.id, one.at, one.last, one.by === 'tag' ? 1 : 0, one.tag ?? null] as const),
      one.digest === undefined ? null : numberOf(one.digest),
      ...([one.gets, one.bytes, one.startsSession ? 1 : 0, one.lastKind ?? null] as const),
      one.lastDigest === undefined ? null : numberOf(one.lastDigest),
      [
        images.map(numberOf),
        named.map(numberOf),
        fetched.map(numberOf),
        references.map(numberOf),
        repeated.map(numberOf),
        fetchedLayers.map(numberOf),
      ],
    ]
  })
  const kept: Kept = [
    heard ?? null,
    [...numbers.keys()],
    all,
    requests,
    orphan ? [{ ...orphan.session, ...NOWHERE }, orphan.last] : null,
  ]
  return JSON.stringify(kept)
}

/** The same chain again. */
export const chainIn = (text: string, place: Place): Chain => {
  const [heard, texts, open, requests, orphan] = JSON.parse(text) as Kept
  const textAt = (number: Ordinal): string => texts[number] ?? ''
  const textsAt = (numbers: Ordinal[]): readonly string[] => (numbers.length === 0 ? NONE : numbers.map(textAt))
  return {
    place,
    open: open.map((kept): OpenInvocation => {
      const [id, at, last, byTag, tag, digest, gets, bytes, startsSession, lastKind, lastDigest, lists] = kept
      const [images, named, fetched, references, repeated, layers] = lists
      return {
        ...place,
        what: 'invocation',
        ...{ id, at, last, by: byTag === 1 ? 'tag' : 'digest', tag: tag ?? undefined },
        digest: digest === null ? undefined : textAt(digest),
        ...{ gets, images: textsAt(images), layers: layers.length, bytes, startsSession: startsSession === 1 },
        ...{ named: textsAt(named), fetched: textsAt(fetched) },
        ...{ references: textsAt(references), repeated: textsAt(repeated) },
        lastKind: lastKind ?? undefined,
        lastDigest: lastDigest === null ? undefined : textAt(lastDigest),
        fetchedLayers: textsAt(layers),
      }
    }),
    requests,
    quietUntil: 0,
    ...(heard !== null && { heard }),
    ...(orphan && { orphan: { session: { ...orphan[0], ...place }, last: orphan[1] } }),
  }
}

/** The place has columns of its own. */
const NOWHERE = { registry: undefined, repository: undefined, origin: undefined }
