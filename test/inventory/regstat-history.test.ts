import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import type { Descriptor } from '../../src/events/descriptor.js'
import { createAsking, type Asking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const MISSING_BLOBS = `SELECT DISTINCT m.digest FROM manifests m
  JOIN deleted_manifest_blob d ON d.manifest_digest = m.digest
  JOIN deleted_blobs b ON b.digest = d.blob_digest`

const day = (number: number): string => `2026-11-${String(number).padStart(2, '0')}T10:00:00Z`
const part = (name: string): Descriptor => ({ digest: digestOf(name), mediaType: LAYER, size: 10 })
const blob = (name: string, at: number, more: Wanted = {}): Wanted => ({
  object: 'blob',
  digest: digestOf(name),
  size: 10,
  at: day(at),
  ...more,
})
const manifest = (name: string, at: number, more: Wanted = {}): Wanted => ({
  object: 'manifest',
  digest: digestOf(name),
  mediaType: OCI_IMAGE,
  references: [part('b1')],
  at: day(at),
  ...more,
})
const deleted = (name: string, at: number, more: Wanted = {}): Wanted => ({
  action: 'delete',
  digest: digestOf(name),
  at: day(at),
  ...more,
})
const other = { repository: 'other' }
const pull = { action: 'pull' } as const

describe.each(STORE_PAIRS)('times and past lives in the views of RegStat, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  let asking: Asking
  beforeEach(async () => {
    await stores.clear()
    asking = createAsking(stores, new Date('2026-11-27T12:00:00Z'))
  })

  const ingest = async (...wanted: Wanted[]): Promise<void> => asking.ingest(...wanted)
  const rows = async (statement: string): Promise<unknown[][]> =>
    (await stores.database.readOnly(statement, { rows: 100, seconds: 10 })).rows
  /** Days of the month of `columns`, of the one row that there is of a view; undefined without one. */
  const days = async (view: string, ...columns: string[]): Promise<(number | null)[] | undefined> => {
    const wanted = columns.map((column) => `extract(day from ${column} at time zone 'UTC')::int`).join(', ')
    const found = await rows(`select ${wanted} from ${view}`)
    expect(found.length).toBeLessThan(2)
    return found[0]?.map((one) => (one === null ? null : Number(one)))
  }

  describe('where no push is known, the first time seen stands in and never moves later', () => {
    test('of a manifest in several repositories', async () => {
      await ingest(manifest('a1', 2, pull), manifest('a1', 9, { ...pull, ...other }))
      expect(await days('manifests', 'pushed', 'pulled')).toEqual([2, 9])
      // The first repository is gone: nothing makes the manifest younger.
      await ingest(deleted('a1', 10))
      expect(await days('manifests', 'pushed', 'pulled')).toEqual([2, 9])
      await ingest(deleted('a1', 11, other))
      expect(await days('deleted_manifests', 'pushed', 'pulled', 'deleted')).toEqual([2, 9, 11])
    })

    test('nor does the time of a repository that only pulled it hide a push', async () => {
      await ingest(manifest('a1', 3), manifest('a1', 9, { ...pull, ...other }))
      expect(await days('manifests', 'pushed', 'pulled')).toEqual([3, 9])
    })

    test('of a blob, also where nothing but its manifest showed it', async () => {
      await ingest(manifest('a1', 2), manifest('a1', 9), manifest('a1', 12, other))
      expect(await days('blobs', 'pushed', 'pulled')).toEqual([2, 12])
      await ingest(blob('b1', 13, { ...pull, ...other }))
      expect(await days('blobs', 'pushed', 'pulled')).toEqual([2, 13])
      await ingest(deleted('b1', 14), deleted('b1', 15, other))
      expect(await days('deleted_blobs', 'pushed', 'deleted')).toEqual([2, 15])
    })

    test('of a blob in the question of the inventory', async () => {
      const mount = { action: 'mount' } as const
      await ingest(manifest('a1', 2), manifest('a1', 9), blob('b2', 3, mount), blob('b2', 8, mount))
      const pushed = (await asking.items('blobs')).map((one) => String(one.pushed_at).slice(8, 10))
      expect(pushed).toEqual(['02', '03'])
    })
  })

  test('a pull of a blob makes it no younger than the manifest that showed it, in the question as in the view', async () => {
    await ingest(manifest('a1', 2))
    const pushed = async (): Promise<unknown> => (await asking.items('blobs')).map((one) => one.pushed_at)
    const before = await pushed()
    await ingest(blob('b1', 13, pull))
    expect(await pushed()).toEqual(before)
    expect(await days('blobs', 'pushed', 'pulled')).toEqual([2, 13])
  })

  test('a deleted blob has the same times as it had alive', async () => {
    await ingest(blob('b1', 1), manifest('a1', 2), manifest('a1', 5, pull))
    const alive = await days('blobs', 'pushed', 'pulled')
    expect(alive).toEqual([1, 5])
    await ingest(deleted('b1', 6))
    expect(await days('deleted_blobs', 'pushed', 'pulled', 'deleted')).toEqual([...(alive ?? []), 6])
    // The registry serves the manifest without its blob: that is no pull of the blob. Of the pulls before, only the newest was kept.
    await ingest(manifest('a1', 7, pull))
    expect(await days('deleted_blobs', 'pulled')).toEqual([2])
  })

  test('a tag was deleted by the first delete, of itself or of its manifest', async () => {
    const tag = { tag: '1' }
    await ingest(manifest('a1', 2, tag), { action: 'delete', tag: '1', at: day(4) }, deleted('a1', 6))
    expect(await days('deleted_tags', 'pushed', 'deleted')).toEqual([2, 4])
    await ingest(manifest('a1', 8, tag), deleted('a1', 9), { action: 'delete', tag: '1', at: day(10) })
    expect(await days('deleted_tags', 'pushed', 'deleted')).toEqual([8, 9])
  })

  describe('an audit row stays when the object is pushed again', () => {
    test('of a tag that was deleted, with what it pointed to then', async () => {
      await ingest(
        manifest('a1', 2, { tag: '1' }),
        manifest('a1', 3, { ...pull, tag: '1' }),
        { action: 'delete', tag: '1', at: day(4) },
        manifest('a2', 6, { tag: '1' }),
      )
      expect(await days('deleted_tags', 'pushed', 'pulled', 'deleted')).toEqual([2, 3, 4])
      expect(await rows('select manifest_digest from deleted_tags')).toEqual([[digestOf('a1')]])
      expect(await rows('select manifest_digest from tags')).toEqual([[digestOf('a2')]])
      // The newest closed life.
      await ingest({ action: 'delete', tag: '1', at: day(8) }, manifest('a3', 9, { tag: '1' }))
      expect(await days('deleted_tags', 'pushed', 'deleted')).toEqual([6, 8])
      expect(await rows('select manifest_digest from deleted_tags')).toEqual([[digestOf('a2')]])
    })

    test('of a tag whose manifest or repository was deleted, and of none that was only moved', async () => {
      await ingest(manifest('a1', 2, { tag: '1' }), deleted('a1', 4), manifest('a2', 6, { tag: '1' }))
      await ingest(manifest('a1', 1, { tag: '2', ...other }), { action: 'delete', ...other, at: day(3) })
      await ingest(
        manifest('a1', 7, { tag: '2', ...other }),
        manifest('a3', 8, { tag: '3' }),
        manifest('a4', 9, { tag: '3' }),
      )
      await ingest(deleted('a3', 10))
      const found = await rows(
        "select tag, extract(day from deleted at time zone 'UTC')::int from deleted_tags order by tag",
      )
      expect(found.map((row) => row.map(String))).toEqual([
        ['1', '4'],
        ['2', '3'],
      ])
    })

    test('of a manifest, with the times of the closed life', async () => {
      await ingest(
        manifest('a1', 2, { tag: '1' }),
        manifest('a1', 3, pull),
        deleted('a1', 5),
        manifest('a1', 9, { tag: '1' }),
      )
      expect(await days('deleted_manifests', 'pushed', 'pulled', 'deleted')).toEqual([2, 3, 5])
      await ingest(manifest('a1', 10, pull))
      expect(await days('manifests', 'pushed', 'pulled')).toEqual([9, 10])
      expect(await days('deleted_manifests', 'pushed', 'deleted')).toEqual([2, 5])
    })

    test('of a manifest only when it left the last of its repositories', async () => {
      await ingest(manifest('a1', 2), manifest('a1', 3, other), deleted('a1', 5), manifest('a1', 9))
      expect(await days('deleted_manifests', 'deleted')).toBeUndefined()
      await ingest(deleted('a1', 11), deleted('a1', 12, other))
      expect(await days('deleted_manifests', 'deleted')).toEqual([12])
      await ingest(manifest('a1', 14, other))
      expect(await days('deleted_manifests', 'deleted')).toEqual([12])
    })

    test('of a blob, which then is missing no more', async () => {
      await ingest(blob('b1', 1), manifest('a1', 2), deleted('b1', 5))
      expect(await rows(MISSING_BLOBS)).toEqual([[digestOf('a1')]])
      await ingest(blob('b1', 9))
      expect(await days('deleted_blobs', 'pushed', 'pulled', 'deleted')).toEqual([1, 2, 5])
      expect(await days('blobs', 'pushed')).toEqual([9])
      expect(await rows(MISSING_BLOBS)).toEqual([])
    })

    test('of what a manifest had', async () => {
      await ingest(blob('b1', 1), manifest('a1', 2), deleted('a1', 5), manifest('a1', 9))
      expect(await rows('select manifest_digest, blob_digest from deleted_manifest_blob')).toEqual([
        [digestOf('a1'), digestOf('b1')],
      ])
      expect(await rows(MISSING_BLOBS)).toEqual([])
    })

    test('but a delete of what no event had shown makes none', async () => {
      await ingest(deleted('a1', 1), manifest('a1', 3), deleted('b9', 1), blob('b9', 3))
      expect(await rows('select digest from deleted_manifests union all select digest from deleted_blobs')).toEqual([])
    })
  })
})
