import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { microsOf } from '../../../src/events/calendar.js'
import { createSalts, type Rotation, type Salts } from '../../../src/pulls/record/salts.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

describe.each(STORE_PAIRS)('salts on %s', (_, open) => {
  let stores: TestStores
  let now = new Date('2026-11-30T23:00:00Z')
  let made = 0
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    now = new Date('2026-11-30T23:00:00Z')
  })

  const salts = async (rotation: Rotation = 'monthly'): Promise<Salts> =>
    createSalts({
      database: stores.database,
      rotation,
      window: 30 * 60_000_000,
      now: () => now,
      random: () => `salt ${++made}`,
    })
  const at = (time: string): number => microsOf(new Date(time))
  const stored = async (): Promise<string[]> => {
    const { rows } = await sql<{ salt: string }>`select salt from pulls.salts order by starts_at`.execute(
      stores.database.sql,
    )
    return rows.map(({ salt }) => salt)
  }

  test('are the same for all processes, now and in the next month', async () => {
    const [one, other] = [await salts(), await salts()]
    for (const time of ['2026-11-30T23:00:00Z', '2026-12-01T00:00:00Z'])
      expect(one.at(at(time))).toEqual(other.at(at(time)))
    expect(one.at(at('2026-12-01T00:00:00Z'))).not.toEqual(one.at(at('2026-11-30T23:59:59Z')))
    expect(one.before(one.at(at('2026-12-01T00:00:00Z')))).toEqual(one.at(at('2026-11-30T23:59:59Z')))
  })

  test('are destroyed one window after their end', async () => {
    const { rotate } = await salts()
    const [november] = await stored()
    now = new Date('2026-12-01T00:29:00Z')
    await rotate()
    expect(await stored()).toContain(november)
    now = new Date('2026-12-01T00:31:00Z')
    await rotate()
    expect(await stored()).not.toContain(november)
    expect(await stored()).toHaveLength(2)
  })

  test('of another rotation are destroyed at once', async () => {
    await salts('monthly')
    const before = await stored()
    await salts('daily')
    const after = await stored()
    expect(after).toHaveLength(2)
    expect(after.filter((salt) => before.includes(salt))).toEqual([])
  })

  test('never change where that is wanted', async () => {
    const never = await salts('never')
    const { text } = never.at(at('2026-11-30T00:00:00Z'))
    now = new Date('2027-03-01T00:00:00Z')
    await never.rotate()
    expect(never.at(at('2027-03-01T00:00:00Z')).text).toBe(text)
  })
})
