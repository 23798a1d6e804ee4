import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { microsOf } from '../../../src/events/calendar.js'
import { lookUpAhead, lookUpHeads, type LookedUp } from '../../../src/pulls/fold-job/look-up-heads.js'
import { createShare } from '../../../src/pulls/fold-job/share.js'
import { takeRequests } from '../../../src/pulls/fold-job/take-requests.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { digestOf } from '../../servers/history.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const REGISTRY = 'registry.example'
const HEADS = 60
const UNTIL = microsOf(new Date('2026-11-18T13:00:00Z'))

describe.each(STORE_PAIRS)('pending HEADs of a push, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    const image = { object: 'manifest', tag: '1.0', digest: digestOf('a'), address: '192.0.2.1' } as const
    await createCounting(stores).ingest([
      ...Array.from({ length: HEADS }, (_, i) =>
        anEvent({
          ...image,
          id: i,
          action: 'pull',
          method: 'HEAD',
          at: `2026-11-18T12:00:${String(i).padStart(2, '0')}Z`,
        }),
      ),
      anEvent({ ...image, id: HEADS, action: 'push', at: '2026-11-18T12:01:00Z' }),
    ])
  })

  const idsOfHeads = async (): Promise<string[]> => {
    const { rows } = await sql<{ id: string }>`select id from pulls.pending`.execute(stores.database.sql)
    return rows.map(({ id }) => id)
  }
  const partsOfPush = async (known: LookedUp): Promise<number> =>
    stores.database.jobTransaction(async (tx) => {
      const stretch = { registry: REGISTRY, since: -Infinity, until: UNTIL, atOnce: 1_000 }
      return (await takeRequests(tx, stretch, { foldedTo: -Infinity, share: createShare(), known })).beforePush
    })

  test('are looked up until the time limit', async () => {
    let statements = 0
    const found = await lookUpHeads(stores.database.sql, await idsOfHeads(), () => statements++ > 0)
    expect([...found.values()]).toEqual(Array.from({ length: 25 }, () => true))
  })

  test('are looked up before the transaction that takes them, which looks up the others', async () => {
    const ahead = await lookUpAhead(stores.database.sql, REGISTRY, UNTIL)
    expect(ahead.size).toBe(HEADS)
    expect(await partsOfPush(new Map([...ahead].slice(0, 40)))).toBe(HEADS)
  })

  test('are not looked up again', async () => {
    expect(await partsOfPush(new Map((await idsOfHeads()).map((id) => [id, false])))).toBe(0)
  })
})
