import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { isoTime, microsOf } from '../../src/events/calendar.js'
import { scopeId } from '../../src/events/scoped-id.js'
import { fixedClock } from '../servers/clock.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { eventually } from '../servers/process.js'
import { openServerStores, type TestStores } from '../servers/stores.js'

const LOCK = 4711
/** Connections of the pool for reports. */
const READERS = 6
const REPORTS = 10

let stores: TestStores
beforeAll(async () => {
  stores = await openServerStores()
})
afterAll(async () => stores.close())

test.each([
  ['of a clock that was not heard before', -1],
  ['of a clock that is ahead', 3_600],
  ['without a UUID', -2],
])('a notification %s is stored while reports use all connections for reading', async (what, lead) => {
  const at = isoTime(microsOf(new Date(fixedClock().getTime() + lead * 1000)))
  const { ingest } = createCounting(stores)
  let release = (): void => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const locks = async (granted: boolean): Promise<number> => {
    const { rows } =
      await sql`select from pg_locks where locktype = 'advisory' and objid = ${LOCK} and granted = ${granted}`.execute(
        stores.database.jobs,
      )
    return rows.length
  }
  const holder = stores.database.jobTransaction(async (tx) => {
    await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx)
    await released
  })
  let reports: Promise<unknown>[] = []
  try {
    await eventually('the lock is held', async () => (await locks(true)) === 1)
    reports = Array.from({ length: REPORTS }, async () =>
      sql`select pg_advisory_lock_shared(${LOCK}), pg_advisory_unlock_shared(${LOCK})`
        .execute(stores.database.sql)
        .catch(() => undefined),
    )
    await eventually('reports wait', async () => (await locks(false)) === READERS)
    const event = anEvent({ id: lead + 10, action: 'push', instance: 'one', at, tag: '1.0' })
    if (what === 'without a UUID') {
      event.contentsHash = event.id
      scopeId(event, event.registry, () => ['alias.example'])
    }
    expect(await ingest([event])).toEqual(['recorded'])
  } finally {
    release()
    await Promise.all([holder, ...reports])
  }
})
