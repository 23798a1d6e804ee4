import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { KEY_PREFIX } from '../../src/counters/keys.js'
import { installationIn } from '../../src/schema/installation.js'
import { writeServiceHeartbeat } from '../../src/schema/service-heartbeat.js'
import { claimUsersKey, createKeyClaim, OtherUsersKey } from '../../src/schema/users-key.js'
import { NOW } from '../servers/clock.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

describe.each(STORE_PAIRS)('the users key of a database, with %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    await start('first')
  })

  const hasSketches = async (): Promise<boolean> => {
    for await (const _sketch of stores.sketches.entries(KEY_PREFIX)) return true
    return false
  }
  const start = async (key: string): Promise<unknown> => installationIn(stores.database, key, NOW, hasSketches)

  test('is another one if nothing was counted', async () => {
    await start('second')
    await expect(installationIn(stores.database, 'first', NOW)).rejects.toThrow(OtherUsersKey)
    await claimUsersKey(stores.database, 'second')
  })

  test.each([
    ['an event', `insert into event_ids (id) values ('6fe25bfe-f9c4-4aa0-8a1c-6f6f4f9d2a10')`],
    ['a total', `insert into tallies values ('pushes', '2026-11-21', 1)`],
    ['an unresolved user', `insert into unresolved_users values ('alice', 'pushes', '2026-11-21')`],
  ])('stays if %s was recorded', async (_name, statement) => {
    await sql.raw(statement).execute(stores.database.sql)
    await expect(start('second')).rejects.toThrow(OtherUsersKey)
    await start('first')
  })

  test('stays if users were counted in the store of sketches', async () => {
    const addition = { key: `${KEY_PREFIX}pushes-2026-48`, members: new Set(['alice']), seconds: 3_600 }
    await stores.database.transaction(async (tx) => stores.sketches.add([addition], tx))
    await expect(start('second')).rejects.toThrow(OtherUsersKey)
  })

  test('stays while a service runs, which may count at any time', async () => {
    await writeServiceHeartbeat(stores.database, 'a service')
    await expect(start('second')).rejects.toThrow(OtherUsersKey)
  })

  test('stays when a process has claimed it, and a process with the previous key cannot claim that', async () => {
    const claim = createKeyClaim(stores.database, 'first')
    await start('second')
    // A claim that failed is made again: nothing is counted without one.
    for (let tries = 0; tries < 2; tries++) await expect(claim()).rejects.toThrow(OtherUsersKey)
    await createKeyClaim(stores.database, 'second')()
    await expect(start('first')).rejects.toThrow(OtherUsersKey)
  })

  test('is one key, however many processes with different keys start and count at once', async () => {
    const keys = ['first', 'second', 'third', 'fourth', 'fifth', 'sixth']
    const counting = await Promise.allSettled(
      keys.map(async (key) => {
        await start(key)
        await claimUsersKey(stores.database, key)
        return key
      }),
    )
    const counted = counting.flatMap((one) => (one.status === 'fulfilled' ? one.value : []))
    expect(counted).toHaveLength(1)
    for (const one of counting) if (one.status === 'rejected') expect(one.reason).toBeInstanceOf(OtherUsersKey)
    await start(counted[0] ?? '')
  })
})
