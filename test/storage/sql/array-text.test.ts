import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { arrayText } from '../../../src/storage/sql/array-text.js'
import { runs } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

/** PostgreSQL has no NUL in texts. */
const text = fc.oneof(
  fc.constantFrom('', 'null', 'NULL', '{}', '"', '\\', ',', ' a ', '\n', "'"),
  fc.string({ unit: 'binary' }).map((one) => one.replaceAll('\0', '').toWellFormed()),
)

describe.each(STORE_PAIRS)('an array as text, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  test('is read as the same array', async () => {
    const all = fc.record({
      texts: fc.array(fc.option(text)),
      numbers: fc.array(fc.option(fc.maxSafeInteger())),
      booleans: fc.array(fc.option(fc.boolean())),
    })
    await fc.assert(
      fc.asyncProperty(all, async ({ texts, numbers, booleans }) => {
        const { rows } = await sql<{ texts: unknown; numbers: unknown; booleans: unknown }>`
          select to_json(${arrayText(texts)}::text[]) as texts, to_json(${arrayText(numbers)}::bigint[]) as numbers,
            to_json(${arrayText(booleans)}::boolean[]) as booleans
        `.execute(stores.database.sql)
        expect(rows).toEqual([{ texts, numbers, booleans }])
      }),
      runs(40),
    )
  })
})
