import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { microsOf } from '../../src/events/calendar.js'
import type { ResolvedItem } from '../../src/events/reported-item.js'
import { readByHost } from '../servers/events.js'
import { counted, createCounting } from '../servers/counting.js'
import { runsOn } from '../servers/runs.js'
import { fixture } from '../servers/service.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

type Sent = {
  id: string
  action: string
  request: { method: string }
  target: { digest?: string; repository: string }
  actor: { name?: string }
}

const NOW = microsOf(new Date('2026-11-22T00:00:00Z'))

/** What distribution 2.8.2 and 3.0.0 really sent: pushes, pulls, mounts, deletes, and the same again after failures. */
const bodies = fixture('registry-notifications.jsonl')
  .trim()
  .split('\n')
  .map((line) => (JSON.parse(line) as { body: string }).body)
const envelopes = bodies.map((body) => readByHost(body, NOW))
const sent = new Map(
  bodies.flatMap((body) => (JSON.parse(body) as { events: Sent[] }).events).map((event) => [event.id, event]),
)
const howMany = (which: (event: Sent) => boolean): number => [...sent.values()].filter(which).length

describe.each(STORE_PAIRS)('recorded notifications replayed on %s', (_, open) => {
  let stores: TestStores
  let expected: Record<string, unknown>
  beforeAll(async () => {
    stores = await open()
    const { ingest, rebuildStale } = createCounting(stores)
    for (const envelope of envelopes) await ingest(envelope)
    await rebuildStale()
    expected = await counted(stores)
  })
  afterAll(async () => stores.close())

  test('are all read', () => {
    expect(envelopes).toHaveLength(413)
    expect(sent.size).toBe(304)
    expect(envelopes.flat().filter((event) => 'unreadable' in event)).toEqual([])
  })

  test('count what was sent, each event once', () => {
    const day = '2026-11-21'
    const tallies = Object.fromEntries(Object.entries(expected).filter(([name]) => name.endsWith(` ${day}`)))
    expect(tallies).toEqual({
      [`i_container_registry_push ${day}`]: howMany(({ action }) => action === 'push'),
      [`i_container_registry_mount ${day}`]: howMany(({ action }) => action === 'mount'),
      [`i_container_registry_pull ${day}`]: howMany(
        ({ action, request }) => action === 'pull' && request.method !== 'HEAD',
      ),
      [`i_container_registry_check ${day}`]: howMany(
        ({ action, request }) => action === 'pull' && request.method === 'HEAD',
      ),
      [`i_container_registry_delete ${day}`]: howMany(({ action }) => action === 'delete'),
      [`i_container_registry_delete_manifest ${day}`]: howMany(
        ({ action, target }) => action === 'delete' && !!target.digest,
      ),
      // No rule counts users of mounts and checks.
      [`events:without_user ${day}`]: howMany(
        ({ action, request, actor }) => !actor.name && action !== 'mount' && request.method !== 'HEAD',
      ),
    })
    expect(
      Object.keys(expected)
        .filter((key) => key.includes('_actor-2026-47'))
        .sort(),
    ).toEqual(
      ['create_repository', 'pull_repository', 'pull_tag', 'push_repository', 'push_tag'].map(
        (event) => `{hll_counters}_i_container_registry_${event}_actor-2026-47`,
      ),
    )
  })

  test('give the same counters in any order, twice over, in envelopes of any size', async () => {
    const events = envelopes.flat()
    const shuffled = fc.shuffledSubarray([...events, ...events], { minLength: 2 * events.length })
    await fc.assert(
      fc.asyncProperty(shuffled, fc.integer({ min: 1, max: 400 }), async (order: ResolvedItem[], size) => {
        await stores.clear()
        const { ingest, rebuildStale } = createCounting(stores)
        const waiting = []
        for (let i = 0; i < order.length; i += size) waiting.push(ingest(order.slice(i, i + size)))
        const outcomes = (await Promise.all(waiting)).flat()
        await rebuildStale()
        expect(await counted(stores)).toEqual(expected)
        expect(outcomes.filter((outcome) => outcome === 'recorded')).toHaveLength(sent.size)
      }),
      runsOn(stores.database, { postgresql: 40, pglite: 15 }),
    )
  })
})
