import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { addClamped, clampedSum, LARGEST_SUM } from '../../../src/storage/sql/clamped-sum.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const LARGEST_BIGINT = '9223372036854775807'

describe.each(STORE_PAIRS)('a clamped sum on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  test.each([
    ['no rows', [], '0'],
    ['unknown sizes alone', [null], '0'],
    ['usual sizes', ['10', null, '20'], '30'],
    ['more than a bigint has', [LARGEST_BIGINT, LARGEST_BIGINT], String(LARGEST_SUM)],
  ])('of %s', async (_what, sizes, expected) => {
    const { rows } = await sql`
      select ${clampedSum(sql`size`)}::text as all, (2 * ${clampedSum(sql`size`)})::text as twice,
        ${clampedSum(sql`size`, sql`size > 15`)}::text as some
      from unnest(${sizes}::bigint[]) as told (size)
    `.execute(stores.database.sql)
    const some = expected === '30' ? '20' : expected
    expect(rows).toEqual([{ all: expected, twice: String(2n * BigInt(expected)), some }])
  })

  test('is stored as JavaScript adds it up', async () => {
    const sum = addClamped(addClamped(3e18, 3e18), 1)
    const { rows } = await sql`select ${[sum]}::bigint[]::text as stored`.execute(stores.database.sql)
    expect(rows).toEqual([{ stored: `{${LARGEST_SUM}}` }])
  })
})
