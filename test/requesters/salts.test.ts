import { linkSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { microsOf } from '../../src/events/calendar.js'
import { createSaltFiles } from '../../src/requesters/salt-files.js'
import { createSaltTable } from '../../src/requesters/salt-table.js'
import {
  createSalts,
  isSalt,
  newSalt,
  periodOf,
  type Rotation,
  type Salts,
  type SaltStore,
} from '../../src/requesters/salts.js'
import { temporaryFolder } from '../servers/process.js'
import { openEmbeddedStores, openServerStores } from '../servers/stores.js'

type Opened = { store: () => SaltStore; close: () => Promise<void> }

const inTable = (open: typeof openServerStores) => async (): Promise<Opened> => {
  const { database, close } = await open()
  return { store: () => createSaltTable(database), close }
}
const inFiles = (): Promise<Opened> => {
  const folder = temporaryFolder('salts')
  const close = (): Promise<void> => {
    folder.remove()
    return Promise.resolve()
  }
  return Promise.resolve({ store: () => createSaltFiles(folder.path), close })
}

describe.each([
  ['a table of PostgreSQL', inTable(openServerStores)],
  ['a table of the embedded database', inTable(openEmbeddedStores)],
  ['files', inFiles],
])('salts in %s', (_, open) => {
  let opened: Opened
  let now = new Date('2026-11-30T23:00:00Z')
  let made = 0
  beforeEach(async () => {
    opened = await open()
    now = new Date('2026-11-30T23:00:00Z')
  })
  afterEach(async () => opened.close())

  const salts = async (rotation: Rotation = 'monthly'): Promise<Salts> =>
    createSalts({
      store: opened.store(),
      rotation,
      window: 30 * 60_000_000,
      now: () => now,
      random: () => `salt-${++made}`.padEnd(43, '-'),
    })
  const at = (time: string): number => microsOf(new Date(time))
  const stored = async (): Promise<string[]> => (await opened.store().list()).map(({ text }) => text)

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

  test('that the store has lost are stored again, as clients are known by them', async () => {
    const { rotate } = await salts()
    const before = await stored()
    await opened.store().keepOnly('daily', 0)
    expect(await stored()).toEqual([])
    await rotate()
    expect(await stored()).toEqual(before)
  })

  test('stay at a start whose clock is ahead: only a rotation destroys salts', async () => {
    await salts()
    const before = await stored()
    now = new Date('2027-03-15T10:00:00Z')
    await salts()
    now = new Date('2026-11-30T23:10:00Z')
    const { at: saltAt } = await salts()
    expect(await stored()).toEqual(expect.arrayContaining(before))
    expect(saltAt(microsOf(now)).text).toBe(before[0])
  })

  test('of another rotation are not used, and a rotation destroys them', async () => {
    await salts('monthly')
    const before = await stored()
    const { at: saltAt, rotate } = await salts('daily')
    for (const time of ['2026-11-30T23:00:00Z', '2026-12-01T00:00:00Z'])
      expect(before).not.toContain(saltAt(at(time)).text)
    expect(await stored()).toEqual(expect.arrayContaining(before))
    await rotate()
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

describe('a salt file', () => {
  const NOVEMBER = periodOf(microsOf(new Date('2026-11-21T12:00:00Z')), 'monthly')
  const FILE = 'monthly-2026-11-01'
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder('salts')
  })
  afterEach(() => {
    folder.remove()
  })
  const path = (name: string): string => join(folder.path, name)
  const stored = { rotation: 'monthly', ...NOVEMBER, text: newSalt() } as const

  test('is overwritten before it is removed: its bytes would stay on the disk', async () => {
    const store = createSaltFiles(folder.path)
    await store.add([stored])
    linkSync(path(FILE), path('its bytes'))
    await store.keepOnly('daily', 0)
    expect(readdirSync(folder.path)).toEqual(['its bytes'])
    expect(readFileSync(path('its bytes'), 'utf8')).toBe('\0'.repeat(43))
  })

  test.each([
    ['NULs, after a crash between its overwriting and its removal', '\0'.repeat(43)],
    ['a part of a salt', 'zQ8kd2XW9lm4rT7yV1pB'],
    ['a part of a salt and NULs', 'zQ8kd2XW9lm4rT7yV1pB'.padEnd(43, '\0')],
    ['more than a salt', newSalt() + '-'],
    ['nothing', ''],
  ])('with %s is no salt: the period gets a new one, and its bytes are destroyed', async (_, text) => {
    writeFileSync(path(FILE), text)
    linkSync(path(FILE), path('its bytes'))
    const store = createSaltFiles(folder.path)
    expect(await store.list()).toEqual([])
    const { at } = await createSalts({
      ...{ store, rotation: 'monthly', window: 0 },
      now: () => new Date('2026-11-21T12:00:00Z'),
      random: newSalt,
    })
    const salt = at(NOVEMBER.from).text
    expect(isSalt(salt)).toBe(true)
    expect(readFileSync(path(FILE), 'utf8')).toBe(salt)
    expect(readFileSync(path('its bytes'), 'utf8')).toBe('\0'.repeat(text.length))
  })

  test('with NULs is destroyed if its period is over', async () => {
    const store = createSaltFiles(folder.path)
    writeFileSync(path('monthly-2026-09-01'), '\0'.repeat(43))
    await store.add([stored])
    await store.keepOnly('monthly', NOVEMBER.from)
    expect(await store.list()).toEqual([stored])
    expect(readdirSync(folder.path)).toEqual([FILE])
  })
})
