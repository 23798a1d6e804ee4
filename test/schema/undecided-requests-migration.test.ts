import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES, type OpenedDatabase } from '../servers/empty-databases.js'
import { OCI_CONFIG, OCI_IMAGE } from '../servers/manifests.js'

describe.each(EMPTY_DATABASES)('lists that were stored without a known media type, on %s', (_, open) => {
  let opened: OpenedDatabase
  beforeEach(async () => {
    opened = await open()
  })
  afterEach(async () => opened.close())

  test('become those of an index, or unknown, unless they are of an image', async () => {
    const { sql: db } = opened.database
    const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
    expect((await new Migrator({ db, provider }).migrateTo('0057-long-summary-values')).error).toBeUndefined()
    const lists = [
      ['index', null, OCI_IMAGE],
      ['index of no type', 'application/json', OCI_IMAGE],
      ['unknown', null, null],
      ['image', null, OCI_CONFIG],
      ['typed image', OCI_IMAGE, null],
    ] as const
    for (const [digest, type, entry] of lists) {
      await sql`insert into inventory.manifests (digest, media_type, contents_known, stated_by) values (${digest}, ${type}, true, '{a}')`.execute(
        db,
      )
      await sql`insert into inventory.manifest_blobs values (${digest}, 0, 'part', ${entry}, 10)`.execute(db)
    }
    await sql`insert into inventory.manifests (digest, media_type) values ('no list', 'application/json')`.execute(db)

    await migrate(db)

    const { rows } = await sql`
      select m.digest, m.media_type is not null as typed, m.contents_known as known,
        (select count(*)::int from inventory.manifest_blobs where manifest_digest = m.digest) as blobs,
        (select count(*)::int from inventory.manifest_children where manifest_digest = m.digest) as children,
        (select count(*)::int from inventory.rejected_entries where manifest_digest = m.digest) as rejected
      from inventory.manifests m order by m.digest`.execute(db)
    const row = (digest: string, typed: boolean, known: boolean, entries: readonly number[]): object => {
      const [blobs, children, rejected] = entries
      return { digest, typed, known, blobs, children, rejected }
    }
    expect(rows).toEqual([
      row('image', false, true, [1, 0, 0]),
      row('index', false, true, [0, 1, 1]),
      row('index of no type', true, true, [0, 1, 1]),
      row('no list', false, false, [0, 0, 0]),
      row('typed image', true, true, [1, 0, 0]),
      row('unknown', false, false, [0, 0, 1]),
    ])
  })
})
