import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { openClock } from '../../src/service/open-clock.js'
import { noteSeen } from '../../src/schema/seen-at.js'
import { installationIn } from '../../src/schema/installation.js'
import { createCounting } from '../servers/counting.js'
import { openApp, type TestApp } from '../servers/app.js'
import { machineClock, NOW } from '../servers/clock.js'
import { anEvent } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const HOUR = 3_600_000
const later = (hours: number): Date => new Date(NOW.getTime() + hours * HOUR)

describe('an event more than a day ahead of a clock that is behind', () => {
  let app: TestApp
  let offset: number
  beforeEach(async () => {
    offset = 0
    app = await openApp({}, () => later(offset))
  })
  afterEach(async () => app.close())

  const pushed = (id: number, at: Date): unknown => ({
    id: `00000000-0000-4000-8000-00000000000${id}`,
    timestamp: at.toISOString(),
    action: 'push',
    target: { repository: 'team/app', tag: '1.0', digest: `sha256:${'a'.repeat(64)}` },
    request: { host: 'registry.example', method: 'PUT' },
    source: { instanceID: 'one' },
  })
  const answerTo = async (...events: unknown[]): Promise<unknown> => (await app.notify({ events })).json()
  const recorded = { recorded: 1, repeated: 0, skipped: {} }

  test('is recorded if the clock was set back; an event that is really ahead is set aside', async () => {
    expect(await answerTo(pushed(1, later(0)))).toEqual(recorded)
    offset = -40
    expect(await answerTo(pushed(2, later(1)))).toEqual(recorded)
    expect(await answerTo(pushed(3, later(30)))).toMatchObject({ skipped: { timestamp_in_future: 1 } })
    offset = -50
    expect(await answerTo(pushed(4, later(1)))).toMatchObject({ skipped: { timestamp_in_future: 1 } })
  })

  test('is set aside if it is more than two days ahead, whatever was recorded', async () => {
    await answerTo(pushed(1, later(0)))
    await sql`update inventory.repositories set last_seen_at = ${later(90_000).toISOString()}::timestamptz`.execute(
      app.app.core.stores.database.sql,
    )
    const { folder } = app
    await app.app.close()
    app = await openApp({ TALLYMAN_DATA_DIR: folder }, () => later(offset))
    expect(await answerTo(pushed(2, later(47)))).toEqual(recorded)
    expect(await answerTo(pushed(3, later(50)))).toMatchObject({ skipped: { timestamp_in_future: 1 } })
  })

  test('is recorded if the service started with that clock, and `status` warns', async () => {
    await answerTo(pushed(1, later(0)))
    const { folder } = app
    await app.app.close()
    offset = -40
    app = await openApp({ TALLYMAN_DATA_DIR: folder }, () => later(offset))
    expect(await answerTo(pushed(2, later(1)))).toEqual(recorded)
    const { warnings } = (await (await app.get('/status')).json()) as { warnings: string[] }
    expect(warnings).toContainEqual(expect.stringContaining('the clock of this machine is behind, or it was ahead'))
    expect(app.log().join('\n')).toContain('the clock of this machine is behind')
  })
})

describe.each(STORE_PAIRS)('the clock of the machine, on %s', (_, open) => {
  let stores: TestStores
  beforeEach(async () => {
    stores = await open()
    await installationIn(stores.database, 'a fingerprint', NOW)
  })
  afterEach(async () => stores.close())

  /** @param hours how far the clock is ahead */
  const openAt = async (hours: number): ReturnType<typeof openClock> =>
    openClock({ stores: stores as never, now: () => ahead(hours) })
  const ahead = (hours: number): Date => new Date(machineClock().getTime() + hours * HOUR)
  const warningsAt = async (hours: number): Promise<string[]> => (await openAt(hours)).warnings()

  test('is compared with the newest event and with the last run of a service', async () => {
    const { database } = stores
    expect(await warningsAt(0)).toEqual([])
    await createCounting(stores, () => ahead(0)).ingest([
      anEvent({ id: 1, at: ahead(0).toISOString(), action: 'delete', tag: '1.0' }),
    ])
    expect(await warningsAt(0)).toEqual([])
    expect(await warningsAt(-1)).toHaveLength(1)
    const seenAt = ahead(1)
    await noteSeen(database.sql, seenAt)
    const clock = await openAt(0)
    expect(await clock.warnings()).toEqual([
      expect.stringContaining(
        `but what was recorded last is of ${seenAt.toISOString()}: synchronize the clock (NTP); if it is right now, ` +
          'run tallyman inventory reconcile --apply, which repairs the times of registries with a url',
      ),
    ])
    expect(clock.latest().getTime()).toBeGreaterThanOrEqual(seenAt.getTime())
  })

  test('is compared with the clock of the server', async () => {
    const warnings = await warningsAt(-5)
    if (stores.database.engine === 'pglite') expect(warnings).toEqual([])
    else
      expect(warnings).toEqual([
        expect.stringMatching(/^the clock of this machine is (17999|1800\d) s behind that of PostgreSQL/),
      ])
  })
})
