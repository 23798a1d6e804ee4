import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createRepositories } from '../../src/counters/repositories.js'
import { resolveUsers } from '../../src/counters/resolve-users.js'
import { countUnresolved } from '../../src/counters/unresolved-users.js'
import { createIngest, type Ingest } from '../../src/ingest/ingest.js'
import { DirectoryUnavailable, type UserDirectory } from '../../src/users/directory.js'
import { createHashedNames } from '../../src/users/hashed-names.js'
import { createIdentify, createIdentifyName } from '../../src/users/identify.js'
import { counted, countOf, LIFETIMES, RULES } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const now = (): Date => new Date('2026-11-19T00:00:00Z')
const IDS: Record<string, string | undefined> = { alice: '17', bob: '18' }

describe.each(STORE_PAIRS)('people that the directory could not resolve, on %s', (_, open) => {
  let stores: TestStores
  let isUnavailable = false
  /** Asking for one of these makes the directory rest until the next round. */
  let refused: string[] = []
  let resting = false
  const directory: UserDirectory = {
    kind: 'gitlab',
    idOf: (name) => {
      if (isUnavailable || resting) throw new DirectoryUnavailable('x')
      if (refused.includes(name)) {
        resting = true
        throw new DirectoryUnavailable('x')
      }
      return IDS[name.toLowerCase()]
    },
    close: () => undefined,
  }

  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    isUnavailable = false
    refused = []
    resting = false
    await stores.clear()
  })

  const counting = (): {
    ingest: Ingest['ingest']
    resolve: () => Promise<number>
    rebuildStale: () => Promise<void>
  } => {
    const { database, sketches } = stores
    const needs = { database, sketches, rules: RULES, lifetimes: LIFETIMES, now }
    const repositories = createRepositories(needs)
    const deployTokens = createHashedNames('a key for tests')
    const identifyName = createIdentifyName({ directory, deployTokens, hasUserTokens: false })
    const identify = createIdentify({ identifyName })
    const { ingest } = createIngest({
      ...needs,
      identify,
      repositories,
      lookupOriginOf: () => undefined,
      pendingOf: () => {
        throw new Error('this history has no pull')
      },
    })
    const resolve = async (): Promise<number> => resolveUsers({ ...needs, repositories, idOf: directory.idOf })
    return { ingest, resolve, rebuildStale: repositories.rebuildStale }
  }

  const history = [
    anEvent({ id: 1, name: 'alice', type: 'build', repository: 'a', at: '2026-11-18T10:00:02Z' }),
    anEvent({ id: 2, name: 'alice', type: 'build', repository: 'a', tag: '1', at: '2026-11-18T10:00:03Z' }),
    anEvent({ id: 3, name: 'Bob', type: 'build', repository: 'b', at: '2026-11-18T10:00:04Z' }),
    anEvent({ id: 4, name: 'carol', type: 'build', repository: 'b', tag: '1', at: '2026-11-18T10:00:05Z' }),
    // Arrives last, happened first: alice did not create the repository after all.
    anEvent({ id: 5, name: 'bob', type: 'build', repository: 'a', at: '2026-11-18T10:00:01Z' }),
  ]

  test('are counted when it answers, as if it had always been available', async () => {
    const { ingest } = counting()
    expect(await ingest(history)).toEqual(['recorded', 'recorded', 'recorded', 'unknown_user', 'recorded'])
    const expected = await counted(stores)

    await stores.clear()
    const later = counting()
    isUnavailable = true
    for (const event of history) expect(await later.ingest([event])).toEqual(['recorded'])
    expect(await countUnresolved(stores.database)).toBe(3)
    expect(await countOf(stores, 'i_container_registry_push_tag_user-2026-47')).toBe(0)
    expect(await later.resolve()).toBe(0)

    isUnavailable = false
    expect(await later.resolve()).toBe(3)
    expect(await counted(stores)).toEqual(expected)
    expect(await countUnresolved(stores.database)).toBe(0)
    expect(await later.resolve()).toBe(0)
  })

  test('resolved between two events, the older first event still displaces the younger one', async () => {
    const { ingest, resolve, rebuildStale } = counting()
    isUnavailable = true
    await ingest(history.slice(0, 1))
    isUnavailable = false
    await resolve()
    expect(await countOf(stores, 'i_container_registry_create_repository_user-2026-47')).toBe(1)
    await ingest(history.slice(4))
    await rebuildStale()
    expect(await countOf(stores, 'i_container_registry_create_repository_user-2026-47')).toBe(1)
    expect(await countOf(stores, 'i_container_registry_push_repository_user-2026-47')).toBe(1)
  })
  test('a name that cannot be resolved moves to the end of the queue, so that no name waits for ever', async () => {
    const { ingest, resolve } = counting()
    isUnavailable = true
    const names = ['aaa', 'aab', 'alice', 'bob']
    await ingest(names.map((name, i) => anEvent({ id: i + 1, name, type: 'build', tag: '1' })))
    isUnavailable = false
    refused = ['aaa', 'aab']
    const rounds = []
    for (let round = 0; round < 4; round++) {
      resting = false
      rounds.push(await resolve())
    }
    // Each that is refused costs one round, once.
    expect(rounds).toEqual([0, 0, 2, 0])
    expect(await countUnresolved(stores.database)).toBe(2)
    refused = []
    resting = false
    expect(await resolve()).toBe(2)
  })
})
