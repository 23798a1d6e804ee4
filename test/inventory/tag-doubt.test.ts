import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Descriptor } from '../../src/events/descriptor.js'
import type { RegistryEvent } from '../../src/events/registry-event.js'
import { moveRepository } from '../../src/inventory/record/move-repository.js'
import { settleChecks } from '../../src/inventory/record/settle-checks.js'
import { reconcile } from '../../src/inventory/reconcile/reconcile.js'
import { createAsking, OCI_LAYER, useAsking, type Wanted } from '../servers/asking.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE } from '../servers/manifests.js'
import { runsOn } from '../servers/runs.js'
import { STORE_PAIRS } from '../servers/stores.js'
import { put, stubRegistry } from '../servers/stub-registry.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const CLIENT = { address: '192.0.2.9', userAgent: 'containerd/v1.7.21' }
const NOTE = 'within 60 seconds'

/** So many seconds after a moment long ago. */
const after = (seconds: number): string => new Date(Date.parse('2026-01-10T10:00:00Z') + seconds * 1000).toISOString()

const contents: Descriptor[] = [
  { digest: digestOf('c1'), mediaType: OCI_CONFIG, size: 10 },
  { digest: digestOf('b1'), mediaType: OCI_LAYER, size: 10 },
]
const manifest = (name: string, at: string, more: Wanted = {}): Wanted => ({
  ...{ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, references: contents, at },
  ...{ tag: 'latest', ...CLIENT, ...more },
})
const push = (name: string, seconds: number, more: Wanted = {}): Wanted => manifest(name, after(seconds), more)
const get = (name: string, seconds: number): Wanted => push(name, seconds, { action: 'pull', method: 'GET' })
const head = (name: string, seconds: number): Wanted =>
  push(name, seconds, { action: 'pull', method: 'HEAD', address: '192.0.2.7' })

describe.each(STORE_PAIRS)('a tag that may point to another image than the last statement says, on %s', (_, open) => {
  const { stores, asking } = useAsking(open, NOW)
  const untagged = async (parameters: object = {}): Promise<string[]> =>
    asking.digests('untagged-manifests', parameters)
  /** How many images an answer says it left out, in a count and in a note. */
  const undecided = async (): Promise<number> => {
    await asking.summary()
    const { unknown, notes = [] } = await asking.answer('untagged-manifests')
    expect(notes.some((note) => note.includes(NOTE))).toBe(unknown?.manifests !== undefined)
    return unknown?.manifests ?? 0
  }

  test.each([
    ['a GET', [push('a1', 0), push('a2', 600), get('a1', 601)]],
    ['a HEAD', [push('a1', 0), push('a2', 600), head('a1', 601)]],
    ['a GET 60 s after the push', [push('a1', 0), push('a2', 600), get('a1', 660)]],
    ['a push', [push('a2', 600), push('a1', 601)]],
    ['a push of a greater digest', [push('a1', 600), push('a2', 601)]],
    ['a push at the same time', [push('a1', 600), push('a2', 600)]],
  ])('%s that may have been answered before keeps both images', async (_name, events) => {
    await asking.ingest(...events)
    await settleChecks(stores.database, NOW)
    expect(await untagged()).toEqual([])
    expect(await untagged({ unused_for: '30d' })).toEqual([])
    expect(await undecided()).toBe(1)

    await stores.clear()
    await createAsking(stores, NOW).ingest(...[...events].reverse())
    await settleChecks(stores.database, NOW)
    expect(await untagged()).toEqual([])
    expect(await undecided()).toBe(1)
  })

  test.each([61, 600, 86_400])(
    'an image is offered if the next push of its tag follows after %i s',
    async (seconds) => {
      await asking.ingest(push('a1', 0), push('a2', seconds))
      expect(await untagged()).toEqual(['a1'])
      expect(await undecided()).toBe(0)
    },
  )

  test('a later request of the tag decides what the tag points to', async () => {
    await asking.ingest(push('a1', 0), push('a2', 1), get('a1', 2))
    expect(await untagged()).toEqual([])
    await asking.ingest(get('a2', 60))
    expect(await untagged()).toEqual([])
    await asking.ingest(get('a2', 61))
    expect(await untagged()).toEqual(['a1'])
    expect(await undecided()).toBe(0)
  })

  test('an older image is offered although newer ones are in doubt', async () => {
    await asking.ingest(push('a0', 0), push('a1', 600), push('a2', 601))
    expect(await untagged()).toEqual(['a0'])
    expect(await undecided()).toBe(1)
  })

  test('a delete of the tag ends the doubt, and a delete of another tag does not', async () => {
    await asking.ingest(push('a1', 0), push('a2', 1), push('a3', 0, { tag: 'x' }))
    await asking.ingest({ action: 'delete', tag: 'x', at: after(600) })
    expect(await untagged()).toEqual(['a3'])
    await asking.ingest({ action: 'delete', tag: 'latest', at: after(600) })
    expect(await untagged()).toEqual(['a1', 'a2', 'a3'])
    expect(await undecided()).toBe(0)
  })

  test('the doubt outlives the delete of the image to which the last statement pointed', async () => {
    await asking.ingest(push('a1', 0), push('a2', 600), get('a1', 601))
    await asking.ingest({ action: 'delete', digest: digestOf('a1'), at: after(700) })
    expect(await untagged()).toEqual([])
  })

  test('a rename takes the doubt along', async () => {
    await asking.ingest(push('a1', 600, { repository: 'old' }), push('a2', 601, { repository: 'new' }))
    await moveRepository(stores.database, {
      from: { registry: 'registry.example', name: 'old' },
      to: { registry: 'registry.example', name: 'new' },
      until: Date.parse(after(1200)) * 1000,
    })
    expect(await untagged()).toEqual([])
    await asking.ingest({ ...get('a2', 1300), repository: 'new' })
    expect(await untagged()).toEqual(['a1'])
  })

  test('a reconciliation ends the doubt', async () => {
    await asking.ingest(push('a1', 0), push('a2', 600), get('a1', 601))
    const registry = stubRegistry()
    const repository = registry.repository('team/app')
    for (const name of ['a1', 'a2'])
      put(
        repository,
        { digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, contents },
        ...(name === 'a2' ? ['latest'] : []),
      )
    const repaired = async (): Promise<unknown> =>
      reconcile(
        { database: stores.database, client: registry, now: () => NOW },
        { registry: 'registry.example', apply: true, rate: 1_000_000 },
      )
    await repaired()
    expect(await untagged()).toEqual(['a1'])
    expect(await undecided()).toBe(0)
  })

  test('a reconciliation that does not find the tag ends the doubt, too', async () => {
    await asking.ingest(push('a1', 0), push('a2', 1), push('a3', 900, { tag: 'v1' }))
    // The registry removes the tag with the image, and reports only the delete of the image.
    await asking.ingest({ action: 'delete', digest: digestOf('a2'), at: after(600) })
    expect(await untagged()).toEqual([])
    const registry = stubRegistry()
    put(registry.repository('team/app'), { digest: digestOf('a1'), mediaType: OCI_IMAGE, size: 500, contents })
    put(registry.repository('team/app'), { digest: digestOf('a3'), mediaType: OCI_IMAGE, size: 500, contents }, 'v1')
    await reconcile(
      { database: stores.database, client: registry, now: () => NOW },
      { registry: 'registry.example', apply: true, rate: 1_000_000 },
    )
    expect(await untagged()).toEqual(['a1'])
    expect(await undecided()).toBe(0)
  })

  test('a request of the previous image before a push, as clients send to compare, is no doubt', async () => {
    await asking.ingest(push('a1', 0), head('a1', 598), get('a1', 599), push('a2', 600))
    await settleChecks(stores.database, NOW)
    expect(await untagged()).toEqual(['a1'])
    expect(await undecided()).toBe(0)
  })

  test('a manifest that was pushed more often than is read may be tagged', async () => {
    const pushes = Array.from({ length: 1001 }, (_value, i) => push('a1', 100 * i, { tag: `v${i % 7}` }))
    await asking.ingestMany(...pushes.slice(1), push('a2', 0, { tag: 'x' }))
    await asking.ingest(...Array.from({ length: 7 }, (_value, i) => push('a3', 200_000, { tag: `v${i}` })))
    expect(await untagged()).toEqual(['a1'])
    await asking.ingest({ ...pushes[0], at: after(0) })
    expect(await untagged()).toEqual([])
  })

  test('a tag in doubt is not unused: its own image may have been requested by digest', async () => {
    const unused = async (question: string): Promise<unknown[]> =>
      (await asking.items(question, { unused_for: '30d' })).map(({ tag }) => tag)
    await asking.ingest(push('a1', 0), push('a2', 600), get('a1', 601), {
      ...{ object: 'manifest', digest: digestOf('a2'), mediaType: OCI_IMAGE, size: 500, references: contents },
      ...{ action: 'pull', at: '2026-11-20T10:00:00Z', ...CLIENT },
    })
    for (const question of ['unused-images', 'last-used']) {
      expect(await unused(question)).toEqual([])
    }
    expect((await asking.items('last-used')).map(({ tag }) => tag)).toEqual(['latest'])
    await asking.ingest(get('a1', 700))
    for (const question of ['unused-images', 'last-used']) expect(await unused(question)).toEqual(['latest'])
  })

  /** The images to which the tag may point, by the times of all events alone; others are offered. */
  const offeredOf = (events: RegistryEvent[]): string[] => {
    const [last] = [...events].sort((a, b) => b.at - a.at || ((a.digest ?? '') < (b.digest ?? '') ? 1 : -1))
    const near = new Set(
      events.flatMap(({ action, at, digest }) =>
        last && action === 'push' && at >= last.at - 60_000_000 ? [digest] : [],
      ),
    )
    const pushed = events.flatMap(({ action, digest }) => (action === 'push' && digest !== undefined ? [digest] : []))
    return [...new Set(pushed)].filter((digest) => digest !== last?.digest && !near.has(digest)).sort()
  }

  test('neither the order of events nor their batches matter', async () => {
    const statement = fc.record({
      name: fc.integer({ min: 1, max: 6 }),
      at: fc.constantFrom(...[0, 1, 2, 30, 31, 59, 60, 61, 62, 90, 91, 119, 120, 121, 122, 181].map(after)),
      isPush: fc.boolean(),
    })
    const scenario = fc
      .array(statement, { minLength: 2, maxLength: 20 })
      .map((wanted) =>
        wanted.map(({ name, at, isPush }, i) =>
          anEvent({ id: i + 1, ...manifest(`a${name}`, at, isPush ? {} : { action: 'pull', method: 'GET' }) }),
        ),
      )
      .chain((events) =>
        fc.record({
          events: fc.constant(events),
          shuffled: fc.shuffledSubarray(events, { minLength: events.length }),
          sizes: fc.array(fc.integer({ min: 1, max: 20 }), { minLength: 1, maxLength: 5 }),
        }),
      )
    await fc.assert(
      fc.asyncProperty(scenario, async ({ events, shuffled, sizes }) => {
        for (const order of [events, shuffled]) {
          await stores.clear()
          const { ingest } = createCounting(stores, () => NOW)
          const rest = [...order]
          for (let i = 0; rest.length > 0; i++) await ingest(rest.splice(0, sizes[i % sizes.length]))
          const offered = (await asking.items('untagged-manifests', { unused_for: '30d' })).map(({ digest }) => digest)
          expect(offered).toEqual(offeredOf(events))
        }
      }),
      runsOn(stores.database, { postgresql: 40, pglite: 20 }),
    )
  }, 3_600_000)
})
