import {
  contentsOfManifests,
  listedAmong,
  listedPlatforms,
  MOST_ENTRIES,
  type KnownManifest,
} from '../../inventory/questions/manifest-contents.js'
import type { Sql } from '../../storage/sql/database.js'
import type { ManifestContents, ContentsOf, DigestSet } from '../fold/contents.js'
import type { RequestedManifest } from './batch-inputs.js'
import type { Platform, PlatformsOf } from './platform.js'

/** Contents and platforms of manifests from the inventory, as the fold needs them. */
export type KnownManifests = {
  contentsIn: (repository: string) => ContentsOf
  platforms: PlatformsOf
  /** The number of entries of manifests in memory; a manifest of which only a part is in memory counts as MOST_ENTRIES. */
  entries: () => number
  /**
   * Looks up manifests that were not looked up yet, and their platforms in the indexes of the repository.
   * @param manifests all manifests whose contents the fold of the next batch may need
   * @param requests the next batch. Of manifests that are not completely in memory, `contentsIn` knows only whether they list the
   * digests of these requests
   */
  learn: (tx: Sql, manifests: Iterable<RequestedManifest>, requests: readonly RequestedDigest[]) => Promise<void>
}

type RequestedDigest = { digest?: string }

/** Manifests that one statement reads: at most 125,000 entries. */
const AT_ONCE = 500
/** Large manifests that one statement searches: at most about 400,000 entries, which takes a fraction of a second. */
const LARGE_AT_ONCE = 10

/** The digests that the requests of one batch are for, each with its position. */
type Requested = { digests: readonly string[]; positions: ReadonlyMap<string, number> }

/** A manifest that is not completely in memory. `requests` are the batch for which its part was looked up. */
type Part = Omit<KnownManifest, 'layers' | 'children'> & {
  hasLayers: boolean
  hasChildren: boolean
  requests?: readonly RequestedDigest[]
}

/**
 * Keeps contents of manifests in bounded memory. A manifest is completely in memory if it has at most MOST_ENTRIES entries and there
 * is room. Of other manifests, each batch looks up which digests of its requests they list: the fold needs no other entries. A batch
 * looks up only the manifests that it names, so its time does not grow with the number of earlier batches.
 * @param registry contents are known if its events stated them, or if a registry showed the manifest to Tallyman
 * @param room maximum number of entries in memory of complete manifests
 */
export const createKnownManifests = (registry: string, room: number): KnownManifests => {
  const lookedUp = new Set<string>()
  const contents = new Map<string, ManifestContents>()
  /** Platforms from configurations, by digest. */
  const configured = new Map<string, string>()
  /** Platforms from indexes, by repository and digest; undefined if no index of the repository lists the manifest. */
  const listed = new Map<string, Map<string, string | undefined>>()
  const parts = new Map<string, Part>()
  let entries = 0

  const add = (manifest: KnownManifest): void => {
    const { layers, children, ...rest } = manifest
    const { digest, platform, isCut } = rest
    if (platform !== undefined) configured.set(digest, platform)
    const size = layers.length + children.length
    if (isCut || entries + size > room) {
      entries += MOST_ENTRIES
      parts.set(digest, { ...rest, hasLayers: layers.length > 0, hasChildren: children.length > 0 })
      return
    }
    entries += size
    contents.set(digest, contentsFrom(manifest, new Set(layers), new Set(children)))
  }

  const learnParts = async (
    tx: Sql,
    digests: ReadonlySet<string>,
    requests: readonly RequestedDigest[],
  ): Promise<void> => {
    const old = [...digests].flatMap((digest) => parts.get(digest) ?? []).filter((part) => part.requests !== requests)
    if (old.length === 0) return
    const requested = requestedIn(requests)
    for (let from = 0; from < old.length; from += LARGE_AT_ONCE) {
      const some = old.slice(from, from + LARGE_AT_ONCE)
      const searched = some.map(({ digest }) => digest)
      const found = await listedAmong(tx, searched, requested.digests)
      const listedBy = new Map(found.map((one) => [one.manifest, one]))
      for (const part of some) {
        const { blobs = [], children = [] } = listedBy.get(part.digest) ?? {}
        const layers = part.hasLayers ? blobs.filter((digest) => digest !== part.config) : []
        const its = part.hasChildren ? children : []
        contents.set(part.digest, contentsFrom(part, digestsOf(requested, layers), digestsOf(requested, its)))
        part.requests = requests
      }
    }
  }

  const learnContents = async (tx: Sql, manifests: readonly RequestedManifest[]): Promise<void> => {
    const fresh = [...new Set(manifests.map(({ digest }) => digest))].filter((digest) => !lookedUp.has(digest))
    for (const digest of fresh) lookedUp.add(digest)
    for (let from = 0; from < fresh.length; from += AT_ONCE) {
      for (const manifest of await contentsOfManifests(tx, registry, fresh.slice(from, from + AT_ONCE))) add(manifest)
    }
  }

  const learnListed = async (tx: Sql, manifests: readonly RequestedManifest[]): Promise<void> => {
    const fresh = manifests.filter(({ repository, digest }) => {
      const here = listed.get(repository) ?? new Map<string, string | undefined>()
      listed.set(repository, here)
      if (here.has(digest)) return false
      here.set(digest, undefined)
      return true
    })
    for (let from = 0; from < fresh.length; from += AT_ONCE) {
      const found = await listedPlatforms(tx, registry, fresh.slice(from, from + AT_ONCE))
      for (const { repository, digest, platform } of found) listed.get(repository)?.set(digest, platform)
    }
  }

  return {
    contentsIn: (repository) => {
      const here = listed.get(repository)
      return (digest) => {
        const known = contents.get(digest)
        if (known?.kind !== 'image') return known
        const { platform } = platformFrom(here?.get(digest), configured.get(digest)) ?? {}
        return isAttestation(platform) ? asArtifact(known) : known
      }
    },
    platforms: (digest, repository) =>
      contents.has(digest) ? platformFrom(listed.get(repository)?.get(digest), configured.get(digest)) : undefined,
    entries: () => entries,
    learn: async (tx, manifests, requests) => {
      const wanted = [...manifests]
      await Promise.all([learnContents(tx, wanted), learnListed(tx, wanted)])
      await learnParts(tx, new Set(wanted.map(({ digest }) => digest)), requests)
    },
  }
}

/** An index states the variant, which a configuration may lack. But a configuration can disprove that an image is an attestation. */
const platformFrom = (byIndex: string | undefined, byConfig: string | undefined): Platform | undefined => {
  if (byIndex !== undefined && (byConfig === undefined || !isAttestation(byIndex))) {
    return { platform: byIndex, from: 'index' }
  }
  return byConfig === undefined ? undefined : { platform: byConfig, from: 'config' }
}

/** BuildKit gives an attestation this platform, in the index and in its configuration. */
const isAttestation = (platform: string | undefined): boolean => platform?.startsWith('unknown/unknown') === true

const asArtifact = ({ layers, config }: ManifestContents & { kind: 'image' }): ManifestContents => ({
  kind: 'artifact',
  blobs: { has: (digest) => digest === config || layers.has(digest) },
})

const contentsFrom = (
  { kind, config }: Pick<KnownManifest, 'kind' | 'config'>,
  layers: DigestSet,
  children: DigestSet,
): ManifestContents => {
  if (kind === 'index') return { kind, children }
  if (kind === 'artifact') {
    const blobs = { has: (digest: string) => digest === config || layers.has(digest) }
    return { kind, blobs, children }
  }
  return { kind, layers, ...(config !== undefined && { config }) }
}

const requestedIn = (requests: readonly RequestedDigest[]): Requested => {
  const digests = [...new Set(requests.flatMap(({ digest }) => digest ?? []))]
  return { digests, positions: new Map(digests.map((digest, position) => [digest, position])) }
}

/** One byte for each requested digest: a hostile batch names thousands of large manifests, each with a thousand digests. */
const digestsOf = ({ digests, positions }: Requested, listed: readonly string[]): DigestSet => {
  const isListed = new Uint8Array(digests.length)
  for (const digest of listed) {
    const position = positions.get(digest)
    if (position !== undefined) isListed[position] = 1
  }
  return {
    has: (digest) => {
      const position = positions.get(digest)
      return position !== undefined && isListed[position] === 1
    },
  }
}
