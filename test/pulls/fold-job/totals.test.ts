import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent, DIGEST } from '../../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const START = Date.parse('2026-11-18T10:00:00Z')
const LATENESS = 300_000_000

describe.each(STORE_PAIRS)('totals, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  test('pulls of a known repository take no number, and are folded when no numbers are left', async () => {
    const { database } = stores
    const { ingest } = createCounting(stores)
    const round = async (hour: number): Promise<void> => {
      const at = new Date(START + hour * 3_600_000).toISOString()
      const pull = { action: 'pull', method: 'GET', tag: '1', digest: DIGEST, object: 'manifest', address: '192.0.2.1' }
      await ingest([anEvent({ id: hour + 1, at, ...pull } as Parameters<typeof anEvent>[0])])
      const now = (): Date => new Date(START + (hour + 3) * 3_600_000)
      await foldPending({
        database,
        windows: WINDOWS,
        lateness: LATENESS,
        now,
        onFolded: async () => Promise.resolve(),
      })
    }
    await round(0)
    // A pull is folded once a later event of its registry has arrived.
    await round(10)
    await sql`select setval('pulls.totals_number_seq', 2147483647)`.execute(database.sql)
    await round(20)
    const { rows } = await sql`select number, invocations, pulls from pulls.totals`.execute(database.sql)
    expect(rows).toEqual([{ number: 1, invocations: '2', pulls: '2' }])
  })
})
