import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { copyRows, type WriteRows } from '../../../src/storage/sql/copy-rows.js'
import { isDuplicateKey, type Sql } from '../../../src/storage/sql/database.js'
import { createRowBuffer } from '../../../src/storage/sql/row-buffer.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const COLUMNS = 'name, count, size, is_new, at, hex'
const AT = Date.parse('1969-07-20T20:17:40Z') * 1_000 + 123_456

const writeRow = async (write: WriteRows, name: string): Promise<void> => {
  const { start, text, int, bigint, boolean, moment, hex, bytes } = createRowBuffer()
  start(6)
  text(name)
  int(-2)
  bigint(Number.MAX_SAFE_INTEGER)
  boolean(true)
  moment(AT)
  hex(0x0012abcd, 0xffffffff)
  await write(bytes())
}

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    await sql`create table copied (name text primary key, count int, size bigint, is_new boolean, at timestamptz, hex text)`.execute(
      stores.database.sql,
    )
  })
  afterAll(async () => {
    await stores.close()
  })

  const inTransaction = async (work: (tx: Sql) => Promise<void>): Promise<void> =>
    stores.database.jobs.transaction().execute(work)
  const names = async (): Promise<string[]> => {
    const { rows } = await sql<{ name: string }>`select name from copied order by name`.execute(stores.database.sql)
    return rows.map(({ name }) => name)
  }
  const copy = async (tx: Sql, ...rows: string[]): Promise<void> =>
    copyRows(tx, `copied (${COLUMNS})`, async (write) => {
      for (const row of rows) await writeRow(write, row)
    })

  test('rows of a COPY have the values that were written', async () => {
    await inTransaction(async (tx) => copy(tx, 'Zürich\t\\ "1"', 'empty'))
    const { rows } = await sql`
      select *, (extract(epoch from at) * 1000000)::bigint::text as at from copied where name like 'Z%'
    `.execute(stores.database.sql)
    expect(rows).toEqual([
      {
        ...{ name: 'Zürich\t\\ "1"', count: -2, size: String(Number.MAX_SAFE_INTEGER), is_new: true, at: String(AT) },
        hex: '0012abcdffffffff',
      },
    ])
  })

  test('statements before and after a COPY are in its transaction', async () => {
    await inTransaction(async (tx) => {
      await sql`delete from copied`.execute(tx)
      await copy(tx, 'first')
      await copy(tx)
      await sql`update copied set name = name || '!'`.execute(tx)
      await copy(tx, 'first')
    })
    expect(await names()).toEqual(['first', 'first!'])
  })

  test('a row whose key exists fails the transaction, and the connection goes on', async () => {
    await inTransaction(async (tx) => {
      await sql`delete from copied`.execute(tx)
      await copy(tx, 'stored')
    })
    const failure: unknown = await inTransaction(async (tx) => copy(tx, 'new', 'stored')).catch(
      (error: unknown) => error,
    )
    expect(isDuplicateKey(failure)).toBe(true)
    expect(await names()).toEqual(['stored'])
    await inTransaction(async (tx) => copy(tx, 'later'))
    expect(await names()).toEqual(['later', 'stored'])
  })

  test('an error of the producer ends the COPY, and is thrown', async () => {
    const before = await names()
    const failing = inTransaction(async (tx) =>
      copyRows(tx, `copied (${COLUMNS})`, async (write) => {
        await writeRow(write, 'half')
        throw new Error('no more rows')
      }),
    )
    await expect(failing).rejects.toThrow('no more rows')
    expect(await names()).toEqual(before)
  })

  test('a COPY into a table that does not exist is refused', async () => {
    const copying = inTransaction(async (tx) => copyRows(tx, 'missing (a)', async (write) => writeRow(write, 'lost')))
    await expect(copying).rejects.toThrow('relation "missing" does not exist')
  })

  test('more rows than the server takes at once arrive', async () => {
    const chunk = 'x'.repeat(300_000)
    await inTransaction(async (tx) => {
      await sql`delete from copied`.execute(tx)
      await copyRows(tx, `copied (${COLUMNS})`, async (write) => {
        for (let i = 0; i < 60; i++) {
          const { start, text, null: none, bytes } = createRowBuffer()
          start(6)
          text(`${i} `.padEnd(20, 'y'))
          for (let column = 0; column < 4; column++) none()
          text(chunk)
          await write(bytes())
        }
      })
    })
    const { rows } = await sql`select count(*)::int, sum(length(hex))::int as size from copied`.execute(
      stores.database.sql,
    )
    expect(rows).toEqual([{ count: 60, size: 60 * chunk.length }])
  })
})
