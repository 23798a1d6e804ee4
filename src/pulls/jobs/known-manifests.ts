import { contentsOfManifests, type KnownManifest } from '../../inventory/contents.js'
import type { Sql } from '../../storage/database.js'
import type { Contents, ContentsOf } from '../fold/contents.js'
import type { Platform, PlatformsOf } from './platform.js'

/** What the inventory knows of manifests, as the fold asks for it. */
export type Manifests = {
  contentsOf: ContentsOf
  platforms: PlatformsOf
  /** How many entries of manifests are in memory. */
  entries: () => number
  /** Looks up those that were not looked up yet. */
  learn: (tx: Sql, digests: Iterable<string>) => Promise<void>
}

export const createManifests = (): Manifests => {
  const asked = new Set<string>()
  const contents = new Map<string, Contents>()
  const platforms = new Map<string, Platform>()
  let entries = 0
  return {
    contentsOf: (digest) => contents.get(digest),
    platforms: (digest) => platforms.get(digest),
    entries: () => entries,
    learn: async (tx, digests) => {
      const fresh = [...new Set(digests)].filter((digest) => !asked.has(digest))
      for (const digest of fresh) asked.add(digest)
      for (const manifest of await contentsOfManifests(tx, fresh)) {
        const { digest, platform, platformFrom: from } = manifest
        contents.set(digest, contentsIn(manifest))
        entries += manifest.layers.length + manifest.children.length
        if (platform !== undefined) platforms.set(digest, { platform, ...(from && { from }) })
      }
    },
  }
}

const contentsIn = ({ kind, children, layers, config }: KnownManifest): Contents => {
  if (kind === 'index') return { kind, children: new Set(children) }
  if (kind === 'artifact')
    return {
      kind,
      blobs: new Set(config === undefined ? layers : [...layers, config]),
      children: new Set(children),
    }
  return { kind, layers: new Set(layers), ...(config !== undefined && { config }) }
}
