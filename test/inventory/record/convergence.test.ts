import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { Digest } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import type { Descriptor } from '../../../src/events/descriptor.js'
import { closeDeleted } from '../../../src/inventory/record/close-deleted.js'
import { joinLookups } from '../../../src/inventory/record/join-lookups.js'
import { retractEntries } from '../../../src/inventory/record/retract-entries.js'
import { settleChecks } from '../../../src/inventory/record/settle-checks.js'
import { summarize } from '../../../src/inventory/summary/summarize.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { inventoryOf } from '../../servers/inventory.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const IMAGE = 'application/vnd.oci.image.manifest.v1+json'
const INDEX = 'application/vnd.oci.image.index.v1+json'

const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest
const blob = (name: string): Descriptor => ({ digest: digest(name), mediaType: 'application/octet-stream', size: 10 })
const image = (name: string): Descriptor => ({ digest: digest(name), mediaType: IMAGE, size: 20 })

/**
 * What there is: two images that share a layer, an index of both, a loose blob; and a manifest stored as a blob as well. And
 * statements about one digest that contradict or complete each other.
 */
const OBJECTS = [
  {
    object: 'manifest',
    digest: digest('a1'),
    mediaType: IMAGE,
    size: 20,
    references: [blob('b1'), blob('b2'), blob('b2')],
  },
  { object: 'manifest', digest: digest('a2'), mediaType: IMAGE, size: 20, references: [blob('b2'), blob('b3')] },
  { object: 'manifest', digest: digest('a3'), mediaType: INDEX, size: 30, references: [image('a1'), image('a2')] },
  { object: 'blob', digest: digest('b1'), mediaType: 'application/octet-stream', size: 10 },
  { object: 'blob', digest: digest('b2'), mediaType: 'application/octet-stream', size: 10 },
  { object: 'blob', digest: digest('a1'), mediaType: 'application/octet-stream', size: 20 },
  { object: 'manifest', digest: digest('a4'), mediaType: IMAGE, size: 20, references: [blob('f1')] },
  { object: 'manifest', digest: digest('a4'), mediaType: IMAGE, size: 20, references: [blob('f1'), blob('f2')] },
  { object: 'manifest', digest: digest('a4'), mediaType: INDEX, size: 20, references: [image('a1')] },
  { object: 'manifest', digest: digest('a5'), mediaType: INDEX, size: 30, references: [image('f5')] },
  { object: 'manifest', digest: digest('a5'), references: [{ digest: digest('f5') }] },
  {
    object: 'manifest',
    digest: digest('a5'),
    mediaType: INDEX,
    references: [{ digest: digest('f5'), mediaType: IMAGE }],
  },
  { object: 'manifest', digest: digest('a6'), mediaType: IMAGE, size: 30, references: [blob('f3')] },
  { object: 'manifest', digest: digest('a6'), mediaType: IMAGE, size: 31 },
  { object: 'manifest', digest: digest('a7'), mediaType: IMAGE, size: 0, references: [{ digest: digest('f4') }] },
  { object: 'manifest', digest: digest('a7'), references: [{ digest: digest('f4'), size: 10 }] },
] as const

const TIMES = [
  ...Array.from({ length: 8 }, (_, i) => `2026-11-18T10:00:00.00000${i}Z`),
  // A HEAD is part of a push that follows within 15 minutes.
  '2026-11-18T10:15:00.000000Z',
  '2026-11-18T10:15:00.000001Z',
]
const NOW = new Date('2026-11-18T12:00:00Z')
/** By when every check is settled. */
const LATER = new Date('2026-11-18T13:00:00Z')

const event = fc
  .record({
    what: fc.constantFrom(...OBJECTS),
    action: fc.constantFrom('push', 'push', 'push', 'pull', 'pull', 'mount', 'delete', 'delete'),
    method: fc.constantFrom('GET', 'HEAD', 'PUT'),
    registry: fc.constantFrom('registry.example', 'registry.example', 'b.example', 'c.example'),
    repository: fc.constantFrom('a', 'a', 'team/b'),
    at: fc.constantFrom(...TIMES),
    tag: fc.constantFrom(undefined, '1.0', 'latest'),
    isStated: fc.boolean(),
    named: fc.constantFrom('both', 'digest', 'digest', 'tag', 'neither'),
    name: fc.constantFrom(undefined, 'alice'),
    address: fc.constantFrom(undefined, '192.0.2.1', '192.0.2.1', '192.0.2.2'),
  })
  .map(({ what, action, named, tag, isStated, ...fields }) => {
    if (action === 'delete') {
      const target = {
        ...(named !== 'tag' && named !== 'neither' && { digest: what.digest }),
        ...(named !== 'digest' && named !== 'neither' && { tag: tag ?? '1.0' }),
      }
      return { ...fields, action, ...target }
    }
    // Only blobs are mounted.
    const { references, ...object } = { references: undefined, ...(action === 'mount' ? OBJECTS[3] : what) }
    return {
      ...fields,
      ...object,
      action,
      ...(isStated && references && { references: [...references] }),
      ...(object.object === 'manifest' && tag !== undefined && { tag }),
    }
  })

const history: fc.Arbitrary<RegistryEvent[]> = fc.array(event, { minLength: 1, maxLength: 24 }).map((wanted) =>
  wanted.map((one, i) => {
    const { name, address, ...fields } = one
    return anEvent({
      ...fields,
      ...(name !== undefined && { name }),
      ...(address !== undefined && { address }),
      id: i + 1,
    })
  }),
)

/** As it may arrive: in any order, parts of it again, in envelopes of any size, at either of two processes. */
const delivery = (events: RegistryEvent[]): fc.Arbitrary<{ envelopes: RegistryEvent[][]; processes: number[] }> =>
  fc
    .tuple(
      fc.shuffledSubarray([...events, ...events], { minLength: events.length, maxLength: 2 * events.length }),
      fc.array(fc.integer({ min: 1, max: 8 }), { minLength: 1, maxLength: 24 }),
      fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 24, maxLength: 24 }),
    )
    .map(([some, sizes, processes]) => {
      const rest = [...some, ...events.filter((one) => !some.includes(one))]
      const envelopes = []
      for (let i = 0; rest.length > 0; i++) envelopes.push(rest.splice(0, sizes[i % sizes.length]))
      return { envelopes, processes }
    })

describe.each(STORE_PAIRS)('the inventory converges on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  /** What clean-up tools and sums read, of every repository. */
  const questionsOf = async (): Promise<Record<string, unknown[]>> => {
    const answers: Record<string, unknown[]> = {}
    for (const table of ['orphaned_blobs', 'missing_blobs', 'repository_totals']) {
      const { rows } = await sql<{ row: unknown }>`
        select to_jsonb(f) - 'repository_id' || jsonb_build_object('registry', r.registry, 'repository', r.name) as row
        from inventory.${sql.raw(table)} f join inventory.repositories r on r.id = f.repository_id order by 1
      `.execute(stores.database.sql)
      answers[table] = rows.map(({ row }) => row)
    }
    return answers
  }

  /** After the jobs have closed what a batch added to a repository while another batch deleted it, and settled all checks. */
  const settled = async (): Promise<Record<string, unknown[]>> => {
    await closeDeleted(stores.database)
    await joinLookups(stores.database)
    await settleChecks(stores.database, LATER)
    await retractEntries(stores.database)
    const inventory = await inventoryOf(stores.database)
    await summarize(stores.database, () => LATER)
    return { ...inventory, ...(await questionsOf()) }
  }

  test('any order, any repeats, any envelopes, two processes at once', async () => {
    const scenario = history.chain((events) => delivery(events).map((delivered) => ({ events, ...delivered })))
    await fc.assert(
      fc.asyncProperty(scenario, async ({ events, envelopes, processes }) => {
        await stores.clear()
        const ordered = createCounting(stores, () => NOW)
        for (const one of [...events].sort((a, b) => a.at - b.at || (a.id < b.id ? -1 : 1))) await ordered.ingest([one])
        const expected = await settled()

        await stores.clear()
        // Two registries' worth of senders: each sends one envelope after the other, both at the same time.
        const lanes = [0, 1].map(async (lane) => {
          const { ingest } = createCounting(stores, () => NOW)
          for (const [i, envelope] of envelopes.entries())
            if (processes[i % processes.length] === lane) await ingest(envelope)
        })
        await Promise.all(lanes)
        expect(await settled()).toEqual(expected)
      }),
      runsOn(stores.database, { postgresql: 50, pglite: 20 }),
    )
  }, 3_600_000)
})
