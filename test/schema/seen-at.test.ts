import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { installationIn } from '../../src/schema/installation.js'
import { noteSeen, trustInClock } from '../../src/schema/seen-at.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')
const later = (hours: number): Date => new Date(NOW.getTime() + hours * 3_600_000)

describe.each(STORE_PAIRS)('the clock of a service, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    await installationIn(stores.database, 'a fingerprint', NOW)
  })
  afterAll(async () => stores.close())

  test('is trusted after a day if it is more than a day ahead of the last service, else after ten minutes', async () => {
    const { sql: db } = stores.database
    expect(await trustInClock(db, NOW)).toEqual({ waitMs: 600_000 })
    await noteSeen(db, NOW)
    expect(await trustInClock(db, later(23))).toEqual({ waitMs: 600_000 })
    expect(await trustInClock(db, later(25))).toEqual({ waitMs: 86_400_000, lastSeenAt: NOW })
    // A clock that was ahead for long, and was set right.
    await noteSeen(db, later(1_000))
    expect(await trustInClock(db, NOW)).toEqual({ waitMs: 600_000 })
    await noteSeen(db, NOW)
    expect(await trustInClock(db, later(25))).toEqual({ waitMs: 86_400_000, lastSeenAt: NOW })
  })
})
