import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { isIndexManifest } from '../../events/descriptor.js'
import type { FetchedManifest } from '../../registries/client/registry-client.js'
import { isKnownIn } from '../model/known-in.js'
import { createRecentMap } from '../../runtime/recent-map.js'

/** What a manifest lists: blobs of an image, or manifests of an index. */
export type Contents = {
  kind: 'image' | 'index'
  entries: readonly { digest: string; size?: number | undefined }[]
}

/** Contents of manifests that need not be read from the registry again: the contents of a digest never change. */
export type KnownContents = {
  of: (digests: readonly string[]) => Promise<Map<string, Contents>>
  learn: (manifest: FetchedManifest) => Contents
}

/**
 * Entries that a run remembers beside the inventory, because a run that only reports stores none: about 130 MB. A manifest
 * itself takes as much memory as MANIFEST entries.
 */
const MOST_ENTRIES = 1_000_000
const MANIFEST = 50

/** @param registry the registry of the run: contents that only events of another registry stated are not known */
export const createKnownContents = (db: Sql, registry: string): KnownContents => {
  const learnt = createRecentMap<Contents>(MOST_ENTRIES, ({ entries }) => MANIFEST + entries.length)
  return {
    of: async (digests) => {
      const known = new Map<string, Contents>()
      for (const digest of digests) {
        const contents = learnt.get(digest)
        if (contents) known.set(digest, contents)
      }
      const unknown = digests.filter((digest) => !known.has(digest))
      for (const [digest, contents] of await storedContents(db, registry, unknown)) known.set(digest, contents)
      return known
    },
    learn: (manifest) => {
      const contents = contentsOf(manifest)
      learnt.set(manifest.digest, contents)
      return contents
    },
  }
}

const contentsOf = (manifest: FetchedManifest): Contents => ({
  kind: isIndexManifest(manifest) ? 'index' : 'image',
  entries: manifest.contents.map(({ digest, size }) => ({ digest, size })),
})

type Row = { manifest: string; index: boolean; digest: string | null; size: string | null }

const storedContents = async (
  db: Sql,
  registry: string,
  digests: readonly string[],
): Promise<Map<string, Contents>> => {
  const found = new Map<string, { kind: Contents['kind']; entries: { digest: string; size?: number }[] }>()
  if (digests.length === 0) return found
  const { rows } = await sql<Row>`
    select m.digest as manifest, coalesce(e.index, false) as index, e.digest, e.size
    from inventory.manifests m
      left join lateral (
        select digest, size, true as index from inventory.manifest_children where manifest_digest = m.digest
        union all
        select digest, size, false from inventory.manifest_blobs where manifest_digest = m.digest
      ) e on true
    where ${isKnownIn(sql`m`, sql`${registry}::text`)} and m.digest = any(${digests}::text[])
  `.execute(db)
  for (const { manifest, index, digest, size } of rows) {
    const contents = found.get(manifest) ?? { kind: 'image', entries: [] }
    if (index) contents.kind = 'index'
    if (digest !== null) contents.entries.push({ digest, ...(size !== null && { size: Number(size) }) })
    found.set(manifest, contents)
  }
  return found
}
