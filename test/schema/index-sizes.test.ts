import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { LONGEST_NAME_BYTES } from '../../src/counters/export-values.js'
import { LONGEST_DIGEST, LONGEST_REPOSITORY, LONGEST_TAG } from '../../src/events/reference.js'
import { LONGEST_VALUE } from '../../src/pulls/model/dimensions.js'
import { LONGEST_NAME } from '../../src/events/side-fields.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

/** PostgreSQL refuses a larger entry of an index (a third of a page). */
const LARGEST_ENTRY = 2_704
/** The header of an entry. */
const HEADER = 8
/** A value that is no text, with its alignment: a uuid has 16 bytes. */
const FIXED = 16
/** The length of a text, and its alignment. */
const TEXT_OVERHEAD = 4 + 3

/** Names that the code contains: kinds, jobs, actions, migrations. */
const CONSTANT = 64
const HOST = 255
/** 128 characters of four bytes. */
const INSTANCE = 512
const EVENT = 128
const ORIGIN = 22
const UUID = 36

/** Bytes of the longest accepted text of each column that is part of an index. */
const LONGEST: Readonly<Record<string, number>> = {
  ...{
    registry: HOST,
    other: HOST,
    host: HOST,
    alias: HOST,
    repository: LONGEST_REPOSITORY,
    from_name: LONGEST_REPOSITORY,
  },
  ...{ tag: LONGEST_TAG, digest: LONGEST_DIGEST, manifest_digest: LONGEST_DIGEST, subject: LONGEST_DIGEST },
  ...{ origin: ORIGIN, instance: INSTANCE, reference: Math.max(LONGEST_TAG, LONGEST_DIGEST) },
  ...{ kind: CONSTANT, rotation: CONSTANT, dimension: CONSTANT, grain: CONSTANT, what: CONSTANT, job: CONSTANT },
  'inventory.repositories.name': LONGEST_REPOSITORY,
  'inventory.tags.name': LONGEST_TAG,
  'inventory.set_aside_events.name': LONGEST_REPOSITORY,
  'repositories.name': LONGEST_REPOSITORY,
  'event_clocks.name': HOST + 1 + INSTANCE,
  'leases.name': CONSTANT + HOST,
  'logs.heads.hash': 16,
  'pending_rewrites.name': CONSTANT,
  'kysely_migration.name': CONSTANT,
  'kysely_migration_lock.id': CONSTANT,
  'sketches.key': LONGEST_NAME_BYTES,
  'stale_sketches.key': LONGEST_NAME_BYTES,
  'tallies.name': HOST,
  'unresolved_users.name': Math.max(LONGEST_NAME, LONGEST_NAME_BYTES),
  'unresolved_users.event': EVENT,
  'pulls.outcomes.id': UUID,
  'provisional.outcomes.id': UUID,
  'pulls.summaries.value': LONGEST_VALUE,
}

type Index = { table: string; index: string; columns: { name: string; isText: boolean }[] }

describe.each(STORE_PAIRS)('the indexes of %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const indexes = async (): Promise<Index[]> => {
    const { rows } = await sql<Index>`
      select case n.nspname when 'public' then '' else n.nspname || '.' end || t.relname as table, i.relname as index,
        json_agg(json_build_object('name', pg_get_indexdef(i.oid, a.attnum, true), 'isText', a.attlen < 0)) as columns
      from pg_index x
        join pg_class i on i.oid = x.indexrelid
        join pg_class t on t.oid = x.indrelid
        join pg_namespace n on n.oid = t.relnamespace
        join pg_attribute a on a.attrelid = i.oid
      where n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')
      group by 1, 2
    `.execute(stores.database.sql)
    return rows
  }

  test('have room for the longest texts that are accepted, all in one entry', async () => {
    const sizes = (await indexes()).map(({ table, index, columns }) => {
      const bytes = columns.map(({ name, isText }) =>
        isText ? (LONGEST[`${table}.${name}`] ?? LONGEST[name] ?? NaN) + TEXT_OVERHEAD : FIXED,
      )
      return { index: `${table}.${index}`, bytes: bytes.reduce((sum, one) => sum + one, HEADER) }
    })
    expect(sizes.length).toBeGreaterThan(100)
    // A new column in an index needs a limit, and its line in LONGEST.
    expect(sizes.filter(({ bytes }) => !(bytes <= LARGEST_ENTRY))).toEqual([])
  })
})
