import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { RegistryEvent } from '../../src/events/registry-event.js'
import type { ItemOutcome } from '../../src/ingest/item.js'
import { counted, createCounting } from '../servers/counting.js'
import { anEvent, DIGEST } from '../servers/events.js'
import { runsOn } from '../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

/** A history of a few people on a few repositories over two weeks and two months. Times repeat, ids do not. */
const history: fc.Arbitrary<RegistryEvent[]> = fc
  .array(
    fc.record({
      action: fc.constantFrom('push', 'push', 'push', 'pull', 'delete', 'mount', 'rename'),
      repository: fc.constantFrom('a', 'b', 'team/c'),
      registry: fc.constantFrom('one.example', 'two.example'),
      at: fc.constantFrom(
        '2026-11-29T23:59:59.999999Z',
        '2026-11-30T00:00:00Z',
        '2026-11-30T00:00:00.000001Z',
        '2026-12-01T08:00:00Z',
        '2026-12-01T08:00:01Z',
        '2026-12-07T00:00:00Z',
      ),
      tag: fc.constantFrom(undefined, undefined, '1.0', 'latest'),
      digest: fc.constantFrom(undefined, DIGEST),
      method: fc.constantFrom('GET', 'HEAD', 'PUT'),
      name: fc.constantFrom(undefined, 'alice', 'ALICE', 'bob', 'carol', 'deployer'),
      type: fc.constantFrom(undefined, 'build', 'gitlab_or_ldap', 'deploy_token', 'other'),
    }),
    { minLength: 1, maxLength: 40 },
  )
  .map((wanted) =>
    wanted.map((one, i) =>
      anEvent(Object.fromEntries(Object.entries({ ...one, id: i + 1 }).filter(([, value]) => value !== undefined))),
    ),
  )

/** The same history as it may arrive: in any order, parts of it again, in envelopes of any size, at either of two processes. */
const delivery = (events: RegistryEvent[]): fc.Arbitrary<{ envelopes: RegistryEvent[][]; processes: number[] }> =>
  fc
    .tuple(
      fc.shuffledSubarray([...events, ...events], { minLength: events.length, maxLength: 2 * events.length }),
      fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 40 }),
      fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 40, maxLength: 40 }),
    )
    .map(([some, sizes, processes]) => {
      const missing = events.filter((event) => !some.includes(event))
      const rest = [...some, ...missing]
      const envelopes = []
      for (let i = 0; rest.length > 0; i++) envelopes.push(rest.splice(0, sizes[i % sizes.length]))
      return { envelopes, processes }
    })

describe.each(STORE_PAIRS)('counting converges on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  test('any order, any repeats, any envelopes, two processes at once: the counters of the ordered history', async () => {
    const scenario = history.chain((events) => delivery(events).map((delivered) => ({ events, ...delivered })))
    await fc.assert(
      fc.asyncProperty(scenario, async ({ events, envelopes, processes }) => {
        await stores.clear()
        const ordered = createCounting(stores)
        const inOrder = [...events].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))
        for (const event of inOrder) expect(await ordered.ingest([event])).toEqual(['recorded'])
        await ordered.rebuildStale()
        const expected = await counted(stores)

        await stores.clear()
        const both = [createCounting(stores), createCounting(stores)]
        // Each process is sent one envelope after the other, as by one registry: all at once would become one batch.
        const outcomes = await Promise.all(
          both.map(async ({ ingest }, lane) => {
            const theirs = envelopes.filter((_, i) => processes[i % processes.length] === lane)
            const answers: ItemOutcome[] = []
            for (const envelope of theirs) answers.push(...(await ingest(envelope)))
            return answers
          }),
        )
        await both[0]?.rebuildStale()
        expect(await counted(stores)).toEqual(expected)
        expect(outcomes.flat().filter((outcome) => outcome === 'recorded')).toHaveLength(events.length)
      }),
      runsOn(stores.database, { postgresql: 40, pglite: 15 }),
    )
  })
})
