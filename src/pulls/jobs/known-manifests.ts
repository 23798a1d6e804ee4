import { contentsOfManifests, type KnownManifest } from '../../inventory/contents.js'
import type { Sql } from '../../storage/database.js'
import type { Contents, ContentsOf } from '../fold/contents.js'
import type { PlatformsOf } from './platform.js'

/** What the inventory knows of manifests, as the fold asks for it. */
export const knownFor = async (
  tx: Sql,
  digests: readonly string[],
): Promise<{ contentsOf: ContentsOf; platforms: PlatformsOf }> => {
  const known = new Map((await contentsOfManifests(tx, digests)).map((one) => [one.digest, one]))
  const contents = new Map([...known.values()].map((one) => [one.digest, contentsIn(one)]))
  return {
    contentsOf: (digest) => contents.get(digest),
    platforms: (digest) => {
      const { platform, platformFrom } = known.get(digest) ?? {}
      return platform === undefined ? undefined : { platform, ...(platformFrom && { from: platformFrom }) }
    },
  }
}

const contentsIn = ({ kind, children, layers, config }: KnownManifest): Contents => {
  if (kind === 'index') return { kind, children: new Set(children) }
  if (kind === 'artifact') return { kind }
  return { kind, layers: new Set(layers), ...(config !== undefined && { config }) }
}
