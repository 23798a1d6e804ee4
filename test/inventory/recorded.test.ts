import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { microsOf } from '../../src/events/calendar.js'
import type { ResolvedItem } from '../../src/events/reported-item.js'
import { readByHost } from '../servers/events.js'
import { createCounting } from '../servers/counting.js'
import { inventoryOf } from '../servers/inventory.js'
import { runsOn } from '../servers/runs.js'
import { fixture } from '../servers/service.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = microsOf(new Date('2026-11-22T00:00:00Z'))
type Line = { registry: string; part: string; body: string }

/** What a registry sent while 43 steps pushed, copied, moved, pulled and deleted images, indexes, lists and artifacts. */
const eventsOf = (registry: string): ResolvedItem[] =>
  fixture('registry-notifications.jsonl')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line)
    .filter((line) => line.registry === registry && line.part === 'ordinary')
    .flatMap(({ body }) => readByHost(body, NOW))

/** What the registry itself answered after the last step. */
const TAGS = ['other/app:1.0', 'team/app:1.0', 'team/app:latest', 'team/list:3', 'team/multi:3', 'team/raw:sbom']

describe.each(STORE_PAIRS)('43 recorded steps in %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  const read = async (query: string): Promise<string[]> => {
    const { rows } = await sql<{ one: string }>`${sql.raw(query)}`.execute(stores.database.sql)
    return rows.map(({ one }) => one)
  }
  const replay = async (events: readonly ResolvedItem[], size: number): Promise<void> => {
    const { ingest } = createCounting(stores)
    for (let i = 0; i < events.length; i += size) await ingest(events.slice(i, i + size))
  }

  // Distribution 3 deletes the tag of team/oci:2.0 alone, so its manifest stays; 2.8 has deleted the manifest.
  test.each([
    ['distribution 2.8.2', 8],
    ['distribution 3.0.0', 9],
  ])('end in the tags and manifests that %s has', async (registry, manifests) => {
    await replay(eventsOf(registry), 1)
    expect(await read("select repository || ':' || name as one from inventory.live_tags order by 1")).toEqual(TAGS)
    expect(await read('select digest as one from regstat.manifests')).toHaveLength(manifests)
  })

  test('end there in any order, twice over, in envelopes of any size', async () => {
    const events = eventsOf('distribution 2.8.2')
    await replay(events, 1)
    const expected = await inventoryOf(stores.database)
    const shuffled = fc.shuffledSubarray([...events, ...events], { minLength: 2 * events.length })
    await fc.assert(
      fc.asyncProperty(shuffled, fc.integer({ min: 1, max: 300 }), async (delivered, size) => {
        await stores.clear()
        await replay(delivered, size)
        expect(await inventoryOf(stores.database)).toEqual(expected)
      }),
      runsOn(stores.database, { postgresql: 10, pglite: 5 }),
    )
  })
})
