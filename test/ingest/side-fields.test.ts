import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { microsOf } from '../../src/events/calendar.js'
import { counted, createCounting } from '../servers/counting.js'
import { readByHost } from '../servers/events.js'
import { inventoryOf } from '../servers/inventory.js'
import { runs } from '../servers/runs.js'
import { corrupted, setField, whole } from '../servers/side-fields.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const now = (): Date => new Date('2026-11-21T12:00:00Z')

describe.each(STORE_PAIRS)('a side field that cannot be read, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const recorded = async (event: object): Promise<void> => {
    const { ingest } = createCounting(stores, now)
    const events = readByHost(JSON.stringify({ events: [event] }), microsOf(now()))
    expect(await ingest(events)).toEqual(['recorded'])
    // A second delivery counts neither the event nor the field.
    expect(await ingest(events)).toEqual(['repeated'])
  }
  const tally = async (name: string): Promise<number> => {
    const found = await sql<{ value: string }>`select value from tallies where name = ${name}`.execute(
      stores.database.sql,
    )
    return Number(found.rows[0]?.value ?? 0)
  }

  /** All that is stored but what depends on the id, which is another one without the id. */
  const stored = async (): Promise<unknown> => {
    const all = { ...(await counted(stores)), ...(await inventoryOf(stores.database)) }
    return JSON.parse(
      JSON.stringify(all, (key, value: unknown) => (['event_id', 'first_event'].includes(key) ? undefined : value)),
    ) as unknown
  }

  test('the inventory and the totals are those of the event without the field', async () => {
    await fc.assert(
      fc.asyncProperty(corrupted, async ({ action, field, value }) => {
        const event = field === 'source.addr' ? setField(whole(action), 'request.host', undefined) : whole(action)
        await stores.clear()
        await recorded(setField(event, field, undefined))
        const expected = await stored()

        await stores.clear()
        await recorded(setField(event, field, value))
        expect(await tally(`unreadable_field:${field}`)).toBe(1)
        await sql`delete from tallies where name like 'unreadable_field:%'`.execute(stores.database.sql)
        expect(await stored()).toEqual(expected)
      }),
      runs(30),
    )
  })

  test('the longest name of an actor is stored, whatever its characters', async () => {
    await stores.clear()
    const name = Array.from({ length: 512 }, (_, i) => String.fromCodePoint(0x20000 + ((i * 7919) % 0xa000))).join('')
    const identify = () => ({ unresolved: name })
    const events = readByHost(
      JSON.stringify({ events: [setField(whole('push'), 'actor.name', name)] }),
      microsOf(now()),
    )
    expect(await createCounting(stores, now, undefined, identify).ingest(events)).toEqual(['recorded'])
    const { rows } = await sql`select distinct name from unresolved_users`.execute(stores.database.sql)
    expect(rows).toEqual([{ name }])
  })
})
