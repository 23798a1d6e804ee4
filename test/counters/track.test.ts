import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { unresolvedMember } from '../../src/counters/contributions.js'
import { createRepositories } from '../../src/counters/repositories.js'
import { resolveUsers } from '../../src/counters/resolve-users.js'
import type { Rules } from '../../src/counters/rules.js'
import { createTrack, type Track } from '../../src/counters/track.js'
import { countUnresolved } from '../../src/counters/unresolved-users.js'
import { counted, countOf, LIFETIMES } from '../servers/counting.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const now = (): Date => new Date('2026-11-19T00:00:00Z')
const declared = { description: '', category: '' }
const RULES: Rules = {
  events: new Map(
    (
      [
        { ...declared, name: 'deploys', unique: 'user', aggregations: ['weekly', 'total'] },
        { ...declared, name: 'rollbacks', aggregations: ['total'] },
      ] as const
    ).map((event) => [event.name, { ...event, aggregations: [...event.aggregations] }]),
  ),
  matching: () => [],
}

describe.each(STORE_PAIRS)('events from outside, on %s', (_, open) => {
  let stores: TestStores
  let track: Track
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    track = createTrack({ ...stores, rules: RULES, lifetimes: LIFETIMES, now })
  })

  test('of unknown users count in their total, and the answer contains the reason', async () => {
    expect(
      await track([
        { event: 'deploys', as: 'both' },
        { event: 'deploys', as: 'unique' },
        { event: 'deploys', as: 'both', member: '17' },
        { event: 'rollbacks', as: 'both' },
        { event: 'poems', as: 'both' },
      ]),
    ).toEqual({ recorded: 2, skipped: { unknown_user: 2, unknown_event: 1 } })
    expect(await countOf(stores, 'deploys-2026-47')).toBe(1)
    expect(await counted(stores)).toMatchObject({
      'deploys 2026-11-19': 2,
      'rollbacks 2026-11-19': 1,
      'skip:unknown_user 2026-11-19': 2,
    })
  })

  test('whose user cannot be asked for are counted when the directory answers', async () => {
    const { database, sketches } = stores
    const waiting = unresolvedMember('alice')
    expect(await track([{ event: 'deploys', as: 'both', member: waiting }])).toEqual({ recorded: 1, skipped: {} })
    expect([await countUnresolved(database), await countOf(stores, 'deploys-2026-47')]).toEqual([1, 0])
    const needs = { database, sketches, rules: RULES, lifetimes: LIFETIMES, now }
    const resolved = await resolveUsers({ ...needs, repositories: createRepositories(needs), idOf: () => '17' })
    expect(resolved).toBe(1)
    expect([await countUnresolved(database), await countOf(stores, 'deploys-2026-47')]).toEqual([0, 1])
  })
})
