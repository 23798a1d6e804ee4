import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { createCounting } from '../servers/counting.js'
import { digestOf, knownHistory } from '../servers/history.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

/** The SQL of RegStat's README, whose answers were wrong for OCI images on RegStat itself. */
describe.each(STORE_PAIRS)("RegStat's questions on %s", (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    await createCounting(stores).ingest(knownHistory())
  })
  afterAll(async () => stores.close())

  const column = async (statement: string): Promise<unknown[]> => {
    const { rows } = await sql<Record<string, unknown>>`${sql.raw(statement)}`.execute(stores.database.sql)
    return rows.map((row) => Object.values(row)[0])
  }

  test.each([
    [
      'images',
      'SELECT name FROM regstat.tags ORDER BY name',
      [
        'registry.example/team/app:1.0',
        'registry.example/team/app:2.0',
        'registry.example/team/app:latest',
        'registry.example/team/lib:1.0',
      ],
    ],
    ['the total of blobs', 'SELECT count(*)::int FROM regstat.blobs', [13]],
    [
      'images pushed before a day',
      "SELECT name FROM regstat.tags WHERE pushed < '2026-03-01' ORDER BY name",
      ['registry.example/team/app:1.0', 'registry.example/team/app:latest'],
    ],
    [
      'images not pulled for some months',
      "SELECT name FROM regstat.tags WHERE pulled IS NULL OR pulled < '2026-08-01' ORDER BY name",
      ['registry.example/team/app:2.0', 'registry.example/team/app:latest', 'registry.example/team/lib:1.0'],
    ],
    [
      'orphaned blobs',
      `SELECT b.digest FROM regstat.blobs b
       WHERE NOT EXISTS (SELECT 1 FROM regstat.manifest_blob mb WHERE mb.blob_digest = b.digest) ORDER BY 1`,
      [digestOf('ca4'), digestOf('1aa4'), digestOf('100se')],
    ],
    [
      'manifests with missing blobs',
      `SELECT DISTINCT m.digest FROM regstat.manifests m
         JOIN regstat.deleted_manifest_blob d ON d.manifest_digest = m.digest
         JOIN regstat.deleted_blobs b ON b.digest = d.blob_digest`,
      [digestOf('b1')],
    ],
    [
      'the image with the most tags',
      `SELECT manifest_digest FROM regstat.tags GROUP BY manifest_digest ORDER BY count(*) DESC, 1 LIMIT 1`,
      [digestOf('a1')],
    ],
  ])('%s', async (_what, statement, expected) => {
    expect(await column(statement)).toEqual(expected)
  })
})
