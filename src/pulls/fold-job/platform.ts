import type { Name } from '../fold/contents.js'
import type { PullOutcome } from '../fold/outcome.js'
import type { Who } from '../requests/pending.js'

/** The platform of an outcome, from the best available source (docs/definitions-of-numbers.md, "Platform"). */
export type Platform = { platform: string; from?: 'index' | 'config' | 'client' }

/** The platform of an image in a repository; undefined if the inventory does not know it. */
export type PlatformsOf<N extends Name = string> = (digest: N, repository: string) => Platform | undefined

const UNKNOWN: Platform = { platform: 'unknown' }
/** The platform of a pull of images for several platforms, as mirrors pull them. */
const SEVERAL = 'several'

export const platformOf = <N extends Name>(
  outcome: PullOutcome<N>,
  { os, arch }: Pick<Who, 'os' | 'arch'>,
  platforms: PlatformsOf<N>,
): Platform => {
  if (outcome.what !== 'invocation') return UNKNOWN
  const known = outcome.images.flatMap((digest) => platforms(digest, outcome.repository) ?? [])
  const [first] = known
  if (first) return known.some(({ platform }) => platform !== first.platform) ? { ...first, platform: SEVERAL } : first
  if (outcome.gets > 0 && os !== undefined && arch !== undefined) return { platform: `${os}/${arch}`, from: 'client' }
  return UNKNOWN
}
