import {
  isDoubtful,
  type Described,
  type RecordedState,
  type RecordedObject,
  type RecordedTag,
} from './recorded-state.js'
import { isUntrusted, NO_UNTRUSTED_TIMES, type UntrustedTimes } from './untrusted-times.js'
import type { Found } from './read-repository.js'

/** `missing`: the registry has it, the inventory does not. `stale`: the inventory has it, the registry does not. */
export type DriftKind = 'missing' | 'stale' | 'different'

/** One difference between the inventory and the registry. */
export type Difference = {
  kind: DriftKind
  object: 'tag' | 'manifest' | 'blob'
  /** The name of a tag, the digest of a manifest or blob. */
  name: string
  /** The digest, `size 12` or `type …`; set for `different`, and for a tag that is missing or stale. */
  inventory?: string
  registry?: string
}

/** What is compared, and which times of the inventory are not trusted. */
type Compared = Found & { untrusted: UntrustedTimes }

/**
 * Lists every difference between what a registry showed of a repository and what the inventory contains. Objects with an event
 * since `found.at` are left out: it is unknown whether a push, pull or delete during the run happened before or after the
 * response of the registry. Objects that were not requested are left out, too.
 * @param described what the inventory contains about the manifests that were read
 * @param untrusted times of a clock that was ahead: they do not make an object recent
 */
export const driftOf = (
  all: Found,
  recorded: RecordedState,
  described: ReadonlyMap<string, Described>,
  untrusted = NO_UNTRUSTED_TIMES,
): Difference[] => {
  const found = { ...all, untrusted }
  return [
    ...missingTags(found, recorded),
    ...staleTags(found, recorded),
    ...objectDrift('manifest', found, recorded.manifests, { there: found.manifests, absent: found.absentManifests }),
    ...differentManifests(found, described),
    ...objectDrift('blob', found, recorded.blobs, { there: shownBlobs(found, recorded), absent: found.absentBlobs }),
    ...differentBlobs(found, recorded),
  ]
}

const missingTags = ({ tags, ...moments }: Compared, recorded: RecordedState): Difference[] =>
  [...tags].flatMap(([name, digest]): Difference[] => {
    const tag = recorded.tags.get(name)
    if (isRecent(tag, moments)) return []
    if (!tag?.live) return [{ kind: 'missing', object: 'tag', name, registry: digest }]
    if (tag.digest === digest) return []
    return [{ kind: 'different', object: 'tag', name, inventory: tag.digest ?? '', registry: digest }]
  })

const staleTags = ({ tags, ...moments }: Compared, recorded: RecordedState): Difference[] =>
  [...recorded.tags].flatMap(([name, tag]): Difference[] =>
    !tag.live || tags.has(name) || isRecent(tag, moments)
      ? []
      : [{ kind: 'stale', object: 'tag', name, inventory: tag.digest ?? '' }],
  )

const objectDrift = (
  object: 'manifest' | 'blob',
  moments: Compared,
  recorded: RecordedState['manifests'],
  { there, absent }: { there: ReadonlyMap<string, unknown>; absent: ReadonlySet<string> },
): Difference[] => [
  ...[...there.keys()]
    .filter((digest) => !recorded.get(digest)?.live && !isRecent(recorded.get(digest), moments))
    .map((name): Difference => ({ kind: 'missing', object, name })),
  ...[...absent]
    .filter((digest) => recorded.get(digest)?.live && !isRecent(recorded.get(digest), moments))
    .map((name): Difference => ({ kind: 'stale', object, name })),
]

/**
 * A blob that was not requested exists if a manifest lists it, unless a delete of it is known: then only a request would show
 * it.
 */
const shownBlobs = ({ blobs }: Found, recorded: RecordedState): ReadonlyMap<string, unknown> =>
  new Map([...blobs].filter(([digest, { requested }]) => requested || !isDoubtful(recorded, digest)))

const differentManifests = ({ manifests }: Found, described: ReadonlyMap<string, Described>): Difference[] =>
  [...manifests].flatMap(([name, read]): Difference[] => {
    const known = described.get(name)
    if (!read || !known) return []
    return [
      ...differs('manifest', name, sizeText(known.size), sizeText(read.size)),
      ...differs('manifest', name, typeText(known.mediaType), typeText(read.mediaType)),
    ]
  })

const differentBlobs = ({ blobs }: Found, recorded: RecordedState): Difference[] =>
  [...blobs].flatMap(([name, { size }]) => {
    const known = recorded.blobs.get(name)
    return known?.live ? differs('blob', name, sizeText(known.size), sizeText(size)) : []
  })

/** An unknown value is no difference: values that no event stated are filled in, not repaired. */
const differs = (
  object: 'manifest' | 'blob',
  name: string,
  inventory: string | undefined,
  registry: string | undefined,
): Difference[] =>
  inventory === undefined || registry === undefined || inventory === registry
    ? []
    : [{ kind: 'different', object, name, inventory, registry }]

const sizeText = (size: number | undefined): string | undefined => (size === undefined ? undefined : `size ${size}`)
const typeText = (type: string | undefined): string | undefined => (type === undefined ? undefined : `type ${type}`)

const isRecent = (
  recorded: RecordedObject | RecordedTag | undefined,
  { at, untrusted }: Pick<Compared, 'at' | 'untrusted'>,
): boolean =>
  [recorded?.seen, recorded?.deleted].some((time) => time !== undefined && time >= at && !isUntrusted(untrusted, time))
