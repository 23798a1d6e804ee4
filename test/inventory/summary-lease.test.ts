import { afterAll, beforeAll, expect, describe, test } from '@jest/globals'
import { sql } from 'kysely'
import { createSummarize } from '../../src/inventory/summary/summarize.js'
import type { Sql } from '../../src/storage/sql/database.js'
import { takeLease } from '../../src/storage/sql/leases.js'
import { fixedClock } from '../servers/clock.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

describe.each(STORE_PAIRS)('the summary of the inventory on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  const count = async (table: string): Promise<number> =>
    (await sql`select from ${sql.raw(table)}`.execute(stores.database.sql)).rows.length

  test('is made by one process at a time, which leaves its lease to the others when it is made', async () => {
    const { database } = stores
    await takeLease(database, 'summarize', 'another', 60)
    await createSummarize(database, fixedClock).whenDue()
    expect(await count('inventory.totals')).toBe(0)
    await sql`delete from leases`.execute(database.sql)
    await createSummarize(database, fixedClock).whenDue()
    expect([await count('inventory.totals'), await count('leases')]).toEqual([1, 0])
  })

  test('that failed is tried again after a minute at the earliest', async () => {
    const { database } = stores
    await sql`delete from inventory.totals`.execute(database.sql)
    let time = fixedClock()
    const { whenDue } = createSummarize(database, () => time)
    await sql`alter table inventory.most_tagged rename to gone`.execute(database.sql)
    await expect(whenDue()).rejects.toThrow('most_tagged')
    await sql`alter table inventory.gone rename to most_tagged`.execute(database.sql)
    await whenDue()
    expect(await count('inventory.totals')).toBe(0)
    time = new Date(time.getTime() + 3_600_000)
    await whenDue()
    expect(await count('inventory.totals')).toBe(1)
  })

  test('that failed while the clock was ahead is tried again at once', async () => {
    const { database } = stores
    await sql`delete from inventory.totals`.execute(database.sql)
    let time = new Date('2030-03-14T00:00:00Z')
    const { whenDue } = createSummarize(database, () => time)
    await sql`alter table inventory.most_tagged rename to gone`.execute(database.sql)
    await expect(whenDue()).rejects.toThrow('most_tagged')
    await sql`alter table inventory.gone rename to most_tagged`.execute(database.sql)
    time = fixedClock()
    await whenDue()
    expect(await count('inventory.totals')).toBe(1)
  })

  test('is made again if the last one was made with a clock that was years ahead', async () => {
    const { database } = stores
    const ahead = new Date('2030-03-14T00:00:00Z')
    await createSummarize(database, () => ahead).now()
    await createSummarize(database, fixedClock).whenDue()
    const { rows } = await sql<{ as_of: Date }>`select as_of from inventory.totals`.execute(database.sql)
    expect(rows).toEqual([{ as_of: fixedClock() }])
  })

  test('leaves no lease behind when the service stops meanwhile', async () => {
    const { database } = stores
    await sql`delete from inventory.totals`.execute(database.sql)
    const names = async (): Promise<unknown[]> =>
      (await sql<{ name: string }>`select name from leases order by 1`.execute(database.sql)).rows.map(
        ({ name }) => name,
      )
    const seen: unknown[] = []
    /** Stops when the summary begins its first transaction. */
    const execute = async (work: (tx: Sql) => Promise<unknown>): Promise<unknown> => {
      seen.push(await names())
      await summary.stop()
      seen.push(await names())
      return database.jobs.transaction().execute(work)
    }
    const jobs = new Proxy(database.jobs, {
      get: (target, name) => {
        if (name === 'transaction') return () => ({ execute })
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
    const summary = createSummarize({ ...database, jobs }, fixedClock)
    await summary.whenDue()
    expect(seen.slice(0, 2)).toEqual([['summarize', 'summarize-attempt'], []])
  })

  test('rests after a process that died while it made one', async () => {
    const { database } = stores
    await sql`delete from inventory.totals`.execute(database.sql)
    // What a process leaves that was killed: the lease of the job ends after two minutes, that of its attempt later.
    await takeLease(database, 'summarize-attempt', 'one that died', 60)
    const { whenDue, now } = createSummarize(database, fixedClock)
    await whenDue()
    expect(await count('inventory.totals')).toBe(0)
    await now()
    expect(await count('inventory.totals')).toBe(1)
    await sql`delete from inventory.totals`.execute(database.sql)
    await sql`update leases set until = now() - interval '1 second'`.execute(database.sql)
    await whenDue()
    expect([await count('inventory.totals'), await count('leases')]).toEqual([1, 0])
  })
})
