import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { ReportedEvent } from '../../src/events/reported-item.js'
import { createRegistries, type Registry } from '../../src/registries/registries.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'
import { moveAliases } from '../../src/pulls/aliases/move-aliases.js'
import { createRegistryIdentity, type RegistryIdentity } from '../../src/registries/registry-identity.js'
import { settle } from '../../src/service/reorder.js'
import { counted, createCounting, LIFETIMES, RULES } from '../servers/counting.js'
import { reportedEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { inventoryOf } from '../servers/inventory.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'
import { runs } from '../servers/runs.js'

const NOW = new Date('2026-12-02T10:00:00Z')

/** Registry a: one process, three hosts. Registry b: one process, one host. Registry c: two replicas behind one host. */
const SENDERS = [
  { instance: 'a-1', host: 'a1.example' },
  { instance: 'a-1', host: 'a2.example' },
  { instance: 'a-1', host: 'a3.example' },
  { instance: 'b-1', host: 'b1.example' },
  { instance: 'c-1', host: 'c1.example' },
  { instance: 'c-2', host: 'c1.example' },
]
/** Of which a host cannot be read, or a process is not reported: of a registry that never reports one, or does not always. */
const ODD_SENDERS = [{ instance: 'a-1' }, { instance: 'c-2' }, { host: 'd1.example' }, { host: 'c1.example' }]

type Wanted = Parameters<typeof reportedEvent>[0]

const wanted: fc.Arbitrary<NonNullable<Wanted>> = fc.record({
  action: fc.constantFrom('push', 'push', 'pull', 'delete', 'mount'),
  repository: fc.constantFrom('x', 'team/y'),
  at: fc.constantFrom('2026-11-29T23:59:59Z', '2026-11-30T00:00:00Z', '2026-12-01T08:00:00Z', '2026-12-01T08:00:01Z'),
  tag: fc.constantFrom('1.0', 'latest'),
  digest: fc.constantFrom(digestOf('a1'), digestOf('b1')),
  object: fc.constantFrom('manifest', 'manifest', 'blob'),
  method: fc.constantFrom('GET', 'HEAD', 'PUT'),
  name: fc.constantFrom('alice', 'bob', 'carol'),
  type: fc.constantFrom('build', 'gitlab_or_ldap'),
})

/** Every sender reports something, so that each host is known to be of its registry. */
const history: fc.Arbitrary<ReportedEvent[]> = fc
  .tuple(
    fc.array(wanted, { minLength: SENDERS.length, maxLength: 24 }),
    fc.array(fc.constantFrom(...SENDERS, ...ODD_SENDERS), { minLength: 24, maxLength: 24 }),
  )
  .map(([events, senders]) =>
    events.map((one, i) => {
      const { tag, ...event } = reportedEvent({ ...one, id: i + 1, address: '203.0.113.9', userAgent: 'docker/1' })
      const hasTag = event.object === 'manifest' && tag !== undefined
      return { ...event, ...(hasTag && { tag }), ...(SENDERS[i] ?? senders[i]) }
    }),
  )

/** What happens to a service between two envelopes. */
type Step = { events: ReportedEvent[]; service: number; then: 'nothing' | 'settle' | 'restart' }

const delivery = (events: ReportedEvent[]): fc.Arbitrary<Step[]> =>
  fc
    .tuple(
      fc.shuffledSubarray([...events, ...events], { minLength: events.length }),
      fc.array(
        fc.record({
          size: fc.integer({ min: 1, max: 5 }),
          service: fc.nat(1),
          then: fc.constantFrom('nothing', 'nothing', 'settle', 'restart'),
        }),
        { minLength: 1, maxLength: 20 },
      ),
    )
    .map(([some, plans]) => {
      const rest = [...some, ...events.filter((event) => !some.includes(event))]
      const steps: Step[] = []
      for (let i = 0; rest.length > 0; i++) {
        const { size = 1, service = 0, then = 'nothing' } = plans[i % plans.length] ?? {}
        steps.push({ events: rest.splice(0, size), service, then })
      }
      return steps
    })

describe.each(STORE_PAIRS)('what registries are learned to be converges in %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  type Service = ReturnType<typeof createCounting> & { identity: RegistryIdentity }

  const serviceWith = async (configured: Registry[]): Promise<Service> => {
    const { database } = stores
    const now = (): Date => NOW
    const registries = createRegistries(() => configured)
    const identity = await createRegistryIdentity({ database, configured: registries, setting: 'process', now })
    await identity.refresh()
    return { ...createCounting(stores, now), identity }
  }
  const settled = async ({ identity }: Service): Promise<void> => {
    await identity.refresh()
    const aliases = identity.registries.aliases()
    await settle({ ...stores, rules: RULES, lifetimes: LIFETIMES, aliases, now: () => NOW })
    await moveAliases({ database: stores.database, windows: WINDOWS }, aliases)
  }
  const delivered = async (steps: Step[], configured: Registry[]): Promise<unknown> => {
    await stores.clear()
    const services = [await serviceWith(configured), await serviceWith(configured)]
    for (const { events, service: at, then } of steps) {
      const service = services[at] ?? (await serviceWith(configured))
      // As from the parser: what resolves them changes them.
      await service.ingest(await service.identity.resolve(events.map((event) => ({ ...event }))))
      if (then === 'settle') await settled(service)
      if (then === 'restart') services[at] = await serviceWith(configured)
    }
    for (const service of services) await settled(service)
    await services[0]?.rebuildStale()
    const { rows } = await sql<{ pending: string }>`
      select id || ' ' || registry || '/' || repository || ' ' || request as pending from pulls.pending order by 1
    `.execute(stores.database.sql)
    const all = { ...(await counted(stores)), ...(await inventoryOf(stores.database)), pending: rows }
    return named(all)
  }

  test('any order, repeats, two services, restarts: one inventory, the same counters, the same pulls', async () => {
    const scenario = history.chain((events) =>
      fc.record({
        one: delivery(events),
        other: delivery(events),
        // Nothing; a host of a registry; a name that no client uses. Each with all other hosts, as any of them may be the first.
        configured: fc.constantFrom<Registry[]>(
          [],
          [{ name: 'a3.example', aliases: ['a1.example', 'a2.example'] }],
          [{ name: 'prod', aliases: ['a1.example', 'a2.example', 'a3.example'] }],
        ),
      }),
    )
    await fc.assert(
      fc.asyncProperty(scenario, async ({ one, other, configured }) => {
        expect(await delivered(one, configured)).toEqual(await delivered(other, configured))
      }),
      runs(8),
    )
  }, 600_000)
})

/** With one name for each registry: which of its hosts is the name depends on which was heard first. */
const named = (all: Record<string, unknown>): unknown => {
  const text = JSON.stringify(all).replaceAll(/\b([abc])\d\.example\b/g, '$1')
  const one = JSON.parse(text.replaceAll('"prod', '"a')) as Record<string, unknown>
  const entries = Object.entries(one).map(([key, value]) => [
    key,
    Array.isArray(value) ? value.map((row) => JSON.stringify(row)).sort() : value,
  ])
  return Object.fromEntries(entries) as unknown
}
