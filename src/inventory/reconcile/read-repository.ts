import type { Micros } from '../../events/calendar.js'
import { UnreadableManifest } from '../../registries/client/exchange.js'
import type { FetchedManifest, RegistryClient } from '../../registries/client/registry-client.js'
import { allNames } from './all-names.js'
import type { Contents, KnownContents } from './known-contents.js'
import { isDoubtful, type RecordedState } from './recorded-state.js'
import { inPortions } from './in-portions.js'
import type { Pace, Timing } from './pace.js'
import { createEntryBudget, type EntryBudget } from './entry-budget.js'

/** What a registry showed of one repository. */
export type Found = {
  /** The time at which everything counts as seen: a little before the first request, so that events during the run win. */
  at: Micros
  /** Each tag with the digest it points to; the repository has no other tags. */
  tags: Map<string, string>
  /** Manifests that exist; with the manifest if it was read because its contents were unknown. */
  manifests: Map<string, FetchedManifest | undefined>
  /** Manifests that were requested and do not exist. */
  absentManifests: Set<string>
  /** Blobs that exist. A blob that was not requested is listed by a manifest that exists. */
  blobs: Map<string, { size?: number | undefined; requested: boolean }>
  /** Blobs that were requested and do not exist. */
  absentBlobs: Set<string>
  /** Blobs that should have been requested, but were too many. */
  unchecked: number
}

/**
 * Which blobs are requested one by one: those for which the inventory and the found manifests disagree (`doubtful`), every blob
 * of the repository (`all`), or none.
 */
export type BlobChecks = 'doubtful' | 'all' | 'none'

export type WalkDeps = {
  client: RegistryClient
  pace: Pick<Pace, 'send'>
  contents: KnownContents
  /** What the inventory contains of the repository. */
  recorded: () => Promise<RecordedState>
  blobChecks: BlobChecks
  /** Reads manifests even if their contents are known. */
  reread: boolean
  timing?: Timing | undefined
}

/** Manifests whose contents are in memory at once, beside those that were read. */
const PORTION = 1_000
/** Blobs of one repository that are requested in one run. */
const MOST_BLOBS = 10_000

/** Findings of a repository in which nothing was seen at this moment. */
export const nothingAt = (at: Micros): Found => ({
  at,
  tags: new Map(),
  manifests: new Map(),
  absentManifests: new Set(),
  blobs: new Map(),
  absentBlobs: new Set(),
  unchecked: 0,
})

/**
 * Reads all that a registry has in one repository: the tags, the manifests they point to, the children of indexes. A registry
 * lists no untagged manifests and no blobs, so those that are live in the inventory are requested one by one.
 * @throws RegistryError if the repository has more objects than are read, or the registry does not answer as expected
 */
export const walkRepository = async (given: WalkDeps, repository: string, at: Micros): Promise<Found> => {
  const found = nothingAt(at)
  const deps = { ...given, budget: createEntryBudget(repository) }
  await findTags(deps, repository, found)
  const tagged = new Set(found.tags.values())
  await findManifests(deps, repository, found, [...tagged], tagged)
  const recorded = await deps.recorded()
  const untagged = [...recorded.manifests].filter(([digest, { live }]) => live && !isAnswered(found, digest))
  await findManifests(
    deps,
    repository,
    found,
    untagged.map(([digest]) => digest),
  )
  await requestBlobs(deps, repository, found, recorded)
  return found
}

type BoundedWalkDeps = WalkDeps & { budget: EntryBudget }

const findTags = async ({ client, pace, timing }: WalkDeps, repository: string, found: Found): Promise<void> => {
  const list = `tags of ${repository}`
  const names = await allNames(list, async (next) => pace.send(async () => client.tags(repository, next)), timing)
  await inPortions(names, async (tag) => {
    const digest = await pace.send(async () => client.digestOf(repository, tag))
    if (digest !== undefined) found.tags.set(tag, digest)
  })
}

const isAnswered = ({ manifests, absentManifests }: Found, digest: string): boolean =>
  manifests.has(digest) || absentManifests.has(digest)

/**
 * Finds manifests and their entries, level by level.
 * @param there the manifests that are known to exist
 */
const findManifests = async (
  deps: BoundedWalkDeps,
  repository: string,
  found: Found,
  digests: readonly string[],
  there: ReadonlySet<string> = new Set(),
): Promise<void> => {
  const children = new Set<string>()
  for (let from = 0; from < digests.length; from += PORTION) {
    const some = digests.slice(from, from + PORTION)
    for (const contents of await contentsOf(deps, repository, found, some, there)) {
      for (const { digest, size } of contents?.entries ?? []) {
        if (contents?.kind === 'index') children.add(digest)
        else if (!found.blobs.has(digest)) {
          deps.budget.take(1)
          found.blobs.set(digest, { size, requested: false })
        }
      }
    }
  }
  const next = [...children].filter((digest) => !isAnswered(found, digest))
  if (next.length > 0) await findManifests(deps, repository, found, next)
}

const contentsOf = async (
  deps: BoundedWalkDeps,
  repository: string,
  found: Found,
  digests: readonly string[],
  there: ReadonlySet<string>,
): Promise<(Contents | undefined)[]> => {
  const known = deps.reread ? new Map<string, Contents>() : await deps.contents.of(digests)
  return inPortions(digests, async (digest) => {
    const contents = known.get(digest)
    return contents
      ? findKnown(deps, repository, found, digest, contents, there.has(digest))
      : readManifest(deps, repository, found, digest)
  })
}

const findKnown = async (
  { client, pace }: WalkDeps,
  repository: string,
  found: Found,
  digest: string,
  contents: Contents,
  there: boolean,
): Promise<Contents | undefined> => {
  if (there || (await pace.send(async () => client.digestOf(repository, digest))) !== undefined) {
    found.manifests.set(digest, undefined)
    return contents
  }
  found.absentManifests.add(digest)
  return undefined
}

const readManifest = async (
  { client, pace, contents, budget }: BoundedWalkDeps,
  repository: string,
  found: Found,
  digest: string,
): Promise<Contents | undefined> => {
  const manifest = await pace.send(async () => client.manifest(repository, digest).catch(notUnreadable))
  if (manifest === UNREADABLE) {
    found.manifests.set(digest, undefined)
    return undefined
  }
  if (!manifest) {
    found.absentManifests.add(digest)
    return undefined
  }
  budget.take(1 + manifest.contents.length)
  found.manifests.set(digest, manifest)
  return contents.learn(manifest)
}

const UNREADABLE = 'unreadable'

/** An unreadable manifest exists, and must not keep the rest of its repository from being compared. */
const notUnreadable = (error: unknown): typeof UNREADABLE => {
  if (error instanceof UnreadableManifest) return UNREADABLE
  throw error
}

const requestBlobs = async (
  { client, pace, blobChecks }: WalkDeps,
  repository: string,
  found: Found,
  recorded: RecordedState,
): Promise<void> => {
  const wanted = blobChecks === 'none' ? [] : blobsToRequest(found, recorded, blobChecks)
  found.unchecked = Math.max(0, wanted.length - MOST_BLOBS)
  await inPortions(wanted.slice(0, MOST_BLOBS), async (digest) => {
    const blob = await pace.send(async () => client.blob(repository, digest))
    if (blob) found.blobs.set(digest, { size: blob.size ?? found.blobs.get(digest)?.size, requested: true })
    else {
      found.blobs.delete(digest)
      found.absentBlobs.add(digest)
    }
  })
}

/**
 * An existing manifest may list a blob that was deleted since: if a delete is known, only a request shows whether the blob
 * exists.
 */
const blobsToRequest = (found: Found, recorded: RecordedState, checks: BlobChecks): string[] => {
  const live = [...recorded.blobs].filter(([, { live }]) => live).map(([digest]) => digest)
  const listed = [...found.blobs.keys()]
  if (checks === 'all') return [...new Set([...live, ...listed])]
  return [
    ...live.filter((digest) => !found.blobs.has(digest)),
    ...listed.filter((digest) => isDoubtful(recorded, digest)),
  ]
}
