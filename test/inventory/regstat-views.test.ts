import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import pg from 'pg'
import type { Descriptor } from '../../src/events/descriptor.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf, knownHistory } from '../servers/history.js'
import { OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'
const ORPHANED_BLOBS = `SELECT b.digest FROM blobs b
  WHERE NOT EXISTS (SELECT 1 FROM manifest_blob mb WHERE mb.blob_digest = b.digest)`
const MISSING_BLOBS = `SELECT DISTINCT m.digest FROM manifests m
  JOIN deleted_manifest_blob d ON d.manifest_digest = m.digest
  JOIN deleted_blobs b ON b.digest = d.blob_digest`

/** The questions of RegStat's README in SQL for its tables, and the answers, some of which it had wrong for OCI images. */
const QUESTIONS: [string, string, string[]][] = [
  [
    'images',
    'SELECT name FROM tags',
    [
      'registry.example/team/app:1.0',
      'registry.example/team/app:2.0',
      'registry.example/team/app:latest',
      'registry.example/team/lib:1.0',
    ],
  ],
  ['the total of blobs', 'SELECT count(*) FROM blobs', ['13']],
  [
    'images pushed before a day',
    "SELECT name FROM tags WHERE pushed < '2026-03-01'",
    ['registry.example/team/app:1.0', 'registry.example/team/app:latest'],
  ],
  [
    'images not pulled for some months',
    "SELECT name FROM tags WHERE pulled IS NULL OR pulled < '2026-08-01'",
    ['registry.example/team/app:2.0', 'registry.example/team/app:latest', 'registry.example/team/lib:1.0'],
  ],
  ['orphaned blobs', ORPHANED_BLOBS, [digestOf('ca4'), digestOf('1aa4'), digestOf('100se')]],
  ['manifests with missing blobs', MISSING_BLOBS, [digestOf('b1')]],
  [
    'the image with the most tags',
    'SELECT manifest_digest FROM tags GROUP BY manifest_digest ORDER BY count(*) DESC LIMIT 1',
    [digestOf('a1')],
  ],
]

describe.each(STORE_PAIRS)('SQL that was written for RegStat, on %s', (name, open) => {
  let stores: TestStores
  let id = 1_000
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const column = async (statement: string): Promise<unknown[]> => {
    const { rows } = await stores.database.readOnly(statement, { rows: 100, seconds: 10 })
    return rows.map(([first]) => String(first)).sort()
  }

  describe('as it is', () => {
    beforeAll(async () => {
      await stores.clear()
      await createCounting(stores).ingest(knownHistory())
    })

    test.each(QUESTIONS)('%s', async (_what, statement, expected) => {
      expect(await column(statement)).toEqual(expected)
    })

    // The embedded database has no door for other tools.
    if (name.includes('PostgreSQL')) {
      test.each(QUESTIONS)('%s, asked by another tool', async (_what, statement, expected) => {
        const client = new pg.Client({ connectionString: `${stores.url}?options=-csearch_path%3Dregstat` })
        await client.connect()
        const { rows } = await client.query<unknown[]>({ text: statement, rowMode: 'array' })
        await client.end()
        expect(rows.map(([first]) => String(first)).sort()).toEqual(expected)
      })
    }

    test('names with a schema go on working; tables of public are not to be read', async () => {
      expect(await column('select name from regstat.tags')).toEqual(await column('select name from tags'))
      expect(await column('select name from inventory.tags')).toContain('old')
      await expect(column('select count(*) > 0 from event_ids')).rejects.toThrow(
        'permission denied for table event_ids',
      )
    })
  })

  describe('of reported events', () => {
    beforeEach(async () => stores.clear())

    const LATER = '2026-11-19T10:00:00Z'
    const ingest = async (...wanted: NonNullable<Parameters<typeof anEvent>[0]>[]): Promise<unknown> =>
      createCounting(stores).ingest(wanted.map((one) => anEvent({ id: ++id, ...one })))
    const part = (name: string): Descriptor => ({ digest: digestOf(name), mediaType: LAYER, size: 10 })
    const blob = (name: string) => ({ object: 'blob', digest: digestOf(name), size: 10 }) as const
    const manifest = (name: string, ...parts: string[]) =>
      ({ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, references: parts.map(part) }) as const

    test("the blobs of BuildKit's cache are no orphans, and one of them is missed when it is deleted", async () => {
      const cache = { ...manifest('cace', 'cac1', 'cac2'), mediaType: OCI_INDEX }
      await ingest(blob('cac1'), blob('cac2'), blob('cac3'), cache, { ...blob('cac1'), repository: 'team/lib' })
      expect(await column(ORPHANED_BLOBS)).toEqual([digestOf('cac3')])
      expect(await column(MISSING_BLOBS)).toEqual([])
      await ingest({ action: 'delete', digest: digestOf('cac2'), at: LATER })
      expect(await column('SELECT blob_digest FROM manifest_blob')).toEqual([digestOf('cac1')])
      expect(await column(MISSING_BLOBS)).toEqual([digestOf('cace')])
    })

    test('the images of an index are none of its blobs, also when they are deleted', async () => {
      const index = { ...manifest('a5'), mediaType: OCI_INDEX, references: [{ ...part('a1'), mediaType: OCI_IMAGE }] }
      await ingest(blob('b1'), manifest('a1', 'b1'), index)
      expect(await column('SELECT manifest_digest FROM manifest_blob')).toEqual([digestOf('a1')])
      await ingest({ action: 'delete', digest: digestOf('a1'), at: LATER })
      expect(await column('SELECT blob_digest FROM deleted_manifest_blob')).toEqual([digestOf('b1')])
      expect(await column('SELECT digest FROM deleted_blobs')).toEqual([])
    })

    test('a blob that only a pull reported is a deleted blob after its delete', async () => {
      await ingest({ ...manifest('a1', 'b1'), action: 'pull' })
      expect(await column('SELECT digest FROM blobs')).toEqual([digestOf('b1')])
      await ingest({ action: 'delete', digest: digestOf('b1'), at: LATER })
      expect(await column('SELECT digest FROM blobs')).toEqual([])
      expect(await column("SELECT digest FROM deleted_blobs WHERE pushed < '2026-11-19'")).toEqual([digestOf('b1')])
      expect(await column(MISSING_BLOBS)).toEqual([digestOf('a1')])
    })

    test('a manifest is no deleted blob after its delete', async () => {
      await ingest(manifest('a1', 'b1'), { action: 'delete', digest: digestOf('a1'), at: LATER })
      expect(await column('SELECT digest FROM deleted_manifests')).toEqual([digestOf('a1')])
      expect(await column('SELECT digest FROM deleted_blobs')).toEqual([])
    })
  })
})
