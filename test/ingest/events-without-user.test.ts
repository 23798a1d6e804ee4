import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sumTallies, WITHOUT_USER } from '../../src/counters/tallies.js'
import type { RegistryEvent } from '../../src/events/registry-event.js'
import { createCounting } from '../servers/counting.js'
import { DIGEST, anEvent } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

describe.each(STORE_PAIRS)('events whose user the registry does not report, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  const ingest = async (...events: RegistryEvent[]): Promise<unknown> => createCounting(stores).ingest(events)
  const sums = async (): Promise<number[]> =>
    sumTallies(
      stores.database.sql,
      [WITHOUT_USER, 'i_container_registry_push', 'i_container_registry_pull'].map((name) => ({ name, days: {} })),
    )
  const push = (id: number, name?: string): RegistryEvent =>
    anEvent({ id, tag: '1.0', digest: DIGEST, object: 'manifest', ...(name !== undefined && { name }) })

  test('are counted apart, each once, and count in totals', async () => {
    await ingest(push(1), push(2), push(3, 'alice'))
    await ingest(push(1), push(2), push(2))
    await ingest(anEvent({ id: 4, action: 'pull', tag: '1.0', digest: DIGEST, object: 'manifest' }))
    expect(await sums()).toEqual([3, 3, 1])
  })

  test('are none if events of their kind count for no user', async () => {
    await ingest(anEvent({ id: 1, action: 'pull', method: 'HEAD', tag: '1.0', digest: DIGEST, object: 'manifest' }))
    expect(await sums()).toEqual([0, 0, 0])
  })
})
