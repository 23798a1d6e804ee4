import { NONE } from '../fold/columns.js'
import type { Erasure } from '../erasures/noted-erasures.js'
import type { SegmentTexts } from './segment-bytes.js'
import { createSegmentBuilder, type Segment } from './segment.js'

type ErasedNames = Pick<Erasure, 'origin' | 'repository'>

/** Whether an erasure concerns a registry. */
export const isInScope = (registry: string, { registries }: Pick<Erasure, 'registries'>): boolean =>
  registries?.includes(registry) !== false

/** Whether a segment may contain requests that an erasure names; false is certain. */
export const mayHaveErased = (
  { names, requesters }: Pick<SegmentTexts, 'names' | 'requesters'>,
  { origin, repository }: ErasedNames,
): boolean =>
  (repository === undefined || names.includes(repository)) &&
  (origin === undefined || requesters.some((one) => one.origin === origin || one.previous === origin))

/**
 * A segment without the requests that an erasure names, and without texts that only these requests have. An erased origin is also
 * removed from requests of the same client with the next salt.
 * @returns the segment itself if it has none of them
 */
export const withoutErased = (segment: Segment, erased: ErasedNames): Segment => {
  if (!mayHaveErased(segment, erased)) return segment
  const { origin, repository } = erased
  const { names, requesters, whats } = segment
  const isOfRepository = whats.map((what) => repository === undefined || names[what.repository] === repository)
  const isOfOrigin = requesters.map((one) => origin === undefined || one.origin === origin)
  const hasPrevious = requesters.map((one) => origin !== undefined && one.previous === origin)
  const builder = createSegmentBuilder()
  const textOf = (name: number): string | undefined => (name === NONE ? undefined : names[name])
  const whatOf = numberedOnce(whats, ({ object, flags, status, repository: own, tag, digest, mediaType }) =>
    builder.what({
      ...{ object, flags, status, repository: names[own] },
      ...{ tag: textOf(tag), digest: textOf(digest), mediaType: textOf(mediaType) },
    }),
  )
  const requesterOf = numberedOnce(requesters, builder.requester)
  const withoutPrevious = numberedOnce(requesters, ({ origin: own, who, fetchesTwice }) =>
    builder.requester({ origin: own, who, ...(fetchesTwice !== undefined && { fetchesTwice }) }),
  )
  let isSame = true
  for (const [row, at] of segment.at.entries()) {
    const [what = 0, requester = 0] = [segment.what[row], segment.requester[row]]
    const isNamed = isOfRepository[what] === true
    const losesPrevious = isNamed && hasPrevious[requester] === true
    if (losesPrevious) isSame = false
    if (isNamed && isOfOrigin[requester] === true) {
      isSame = false
      continue
    }
    builder.add({
      ...{ at, bytes: segment.bytes[row] ?? NONE },
      ...{ idHigh: segment.ids[2 * row] ?? 0, idLow: segment.ids[2 * row + 1] ?? 0 },
      what: whatOf(what),
      requester: (losesPrevious ? withoutPrevious : requesterOf)(requester),
    })
  }
  return isSame ? segment : builder.segment()
}

/** Tells the number that an item of a segment gets in another segment. */
const numberedOnce = <T>(items: readonly T[], add: (item: T) => number): ((number: number) => number) => {
  const numbers: (number | undefined)[] = []
  return (number) => {
    const item = items[number]
    if (item === undefined) throw new RangeError('a row of a segment refers to nothing')
    return (numbers[number] ??= add(item))
  }
}
