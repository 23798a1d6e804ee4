import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { reconcile, ReconcileBusy, type ReconcileOptions } from '../../../src/inventory/reconcile/reconcile.js'
import { MassDeletionRefused } from '../../../src/inventory/reconcile/mass-deletion-guard.js'
import { lastReconciliations, type ReconciliationReport } from '../../../src/inventory/reconcile/reports.js'
import { RegistryUnavailable, RegistryError, UnreadableManifest } from '../../../src/registries/client/exchange.js'
import { createKnownContents } from '../../../src/inventory/reconcile/known-contents.js'
import { readRecordedState } from '../../../src/inventory/reconcile/recorded-state.js'
import { walkRepository } from '../../../src/inventory/reconcile/read-repository.js'
import { microsOf } from '../../../src/events/calendar.js'
import { takeLease } from '../../../src/storage/sql/leases.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { liveIn } from '../../servers/inventory.js'
import { openEmbeddedStores, type TestStores } from '../../servers/stores.js'
import {
  digestNamed,
  imageNamed,
  indexNamed,
  put,
  stubRegistry,
  type StubRegistry,
} from '../../servers/stub-registry.js'

const REGISTRY = 'registry.example'
/** When the registry is asked; events of the tests are of the hour before. */
const NOW = '2026-11-18T11:00:00Z'

let stores: TestStores
beforeAll(async () => {
  stores = await openEmbeddedStores()
})
beforeEach(async () => stores.clear())
afterAll(async () => stores.close())

const run = async (
  client: StubRegistry,
  options: Partial<ReconcileOptions> = {},
  now = NOW,
): Promise<ReconciliationReport> =>
  reconcile(
    { database: stores.database, client, now: () => new Date(now), toleranceMs: 0 },
    { registry: REGISTRY, apply: false, rate: 100_000, ...options },
  )

const ingest = async (events: RegistryEvent[]): Promise<void> => {
  await createCounting(stores).ingest(events)
}
let ids = 0
const event = (wanted: Parameters<typeof anEvent>[0]): RegistryEvent => anEvent({ ...wanted, id: ++ids })

const DOCKER_IMAGE = 'application/vnd.docker.distribution.manifest.v2+json'
const first = imageNamed('a1', ['b1', 'b2'])
const second = imageNamed('a2', ['b2', 'b3'])
const both = indexNamed('a3', [first, second])

/** An index with its two images, tagged twice, and an image alone in another repository. */
const filled = (): StubRegistry => {
  const registry = stubRegistry()
  const app = registry.repository('team/app')
  put(app, first)
  put(app, second)
  put(app, both, '1.0')
  put(app, both, 'latest')
  put(registry.repository('team/other'), first, 'one')
  return registry
}

/** What the registry would answer, in the form of `liveIn`. */
const contentsOf = ({ repositories }: StubRegistry): object =>
  Object.fromEntries(
    [...repositories].map(([name, { tags, manifests, blobs }]) => [
      name,
      { tags: Object.fromEntries(tags), manifests: [...manifests.keys()].sort(), blobs: [...blobs.keys()].sort() },
    ]),
  )

describe('an inventory that starts late', () => {
  test('lacks all that the registry has, and contains it once that was applied', async () => {
    const registry = filled()
    const shown = await run(registry)
    expect(shown).toMatchObject({
      repositories: 2,
      tags: 3,
      manifests: 4,
      blobs: 5,
      drift: { missing: 12, stale: 0, different: 0 },
      failed: 0,
    })
    expect(await liveIn(stores.database, REGISTRY)).toEqual({})

    expect((await run(registry, { apply: true })).drift.missing).toBe(12)
    expect(await liveIn(stores.database, REGISTRY)).toEqual(contentsOf(registry))
    expect((await run(registry)).drift).toEqual({ missing: 0, stale: 0, different: 0 })
  })

  test('reads each manifest once, and afterwards none', async () => {
    const registry = filled()
    await run(registry, { apply: true })
    const reads = registry.asked.filter((request) => request.startsWith('manifest '))
    expect(new Set(reads).size).toBe(3)
    expect(reads).toHaveLength(3)
    registry.asked.length = 0
    await run(registry)
    expect(registry.asked.filter((request) => request.startsWith('manifest '))).toEqual([])
  })
})

describe('what the inventory did not know', () => {
  const platform = { os: 'linux', architecture: 'arm64' }
  const image = { ...first, platform }
  const registry = (): StubRegistry => {
    const filled = stubRegistry()
    put(filled.repository('team/app'), image, '1.0')
    return filled
  }
  const push = async (references: RegistryEvent['references']): Promise<void> =>
    ingest([
      ...first.contents.map(({ digest, size }) =>
        event({ object: 'blob', digest, ...(size !== undefined && { size }) }),
      ),
      event({ ...first, object: 'manifest', tag: '1.0', ...(references && { references: [...references] }) }),
    ])
  const platforms = async (): Promise<unknown> =>
    (
      await sql`select os, architecture from inventory.manifests where digest = ${first.digest}`.execute(
        stores.database.sql,
      )
    ).rows

  test('is no drift, and the report counts what was read, and then what was filled in', async () => {
    await push(first.contents)
    const nothing = { contents: 0, platforms: 0, subjects: 0, sizes: 0 }
    expect(await run(registry())).toMatchObject({ drift: { missing: 0, stale: 0, different: 0 }, filled: nothing })

    const filled = { ...nothing, platforms: 1, subjects: 1 }
    expect(await run(registry(), { reread: true })).toMatchObject({ applied: false, filled })
    expect(await platforms()).toEqual([{ os: null, architecture: null }])
    expect(await run(registry(), { reread: true, apply: true })).toMatchObject({ applied: true, filled })
    expect(await platforms()).toEqual([platform])
    expect(await run(registry(), { reread: true, apply: true })).toMatchObject({ filled: nothing })
    expect((await lastReconciliations(stores.database.sql))[0]?.filled).toEqual(nothing)
  })

  test('counts contents that no event contained, and not what is missing', async () => {
    const filled = { contents: 1, platforms: 1, subjects: 1, sizes: 0 }
    expect((await run(registry())).filled).toEqual({ ...filled, contents: 0, platforms: 0, subjects: 0 })
    await push(undefined)
    expect((await run(registry(), { apply: true })).filled).toEqual(filled)
  })
})

describe('drift', () => {
  test('is named: a tag and its manifest that went, a tag that moved, a blob that was deleted', async () => {
    const registry = filled()
    await run(registry, { apply: true })
    const other = registry.repository('team/other')
    other.manifests.delete(first.digest)
    put(other, second, 'one')
    registry.repository('team/app').tags.delete('latest')
    other.blobs.delete(digestNamed('b1'))

    const later = '2026-11-18T12:00:00Z'
    const { differences } = await run(registry, {}, later)
    expect(differences).toEqual([
      { repository: 'team/app', kind: 'stale', object: 'tag', name: 'latest', inventory: both.digest },
      {
        repository: 'team/other',
        kind: 'different',
        object: 'tag',
        name: 'one',
        inventory: first.digest,
        registry: second.digest,
      },
      { repository: 'team/other', kind: 'missing', object: 'manifest', name: second.digest },
      { repository: 'team/other', kind: 'stale', object: 'manifest', name: first.digest },
      { repository: 'team/other', kind: 'missing', object: 'blob', name: digestNamed('b3') },
      { repository: 'team/other', kind: 'stale', object: 'blob', name: digestNamed('b1') },
    ])

    await run(registry, { apply: true }, later)
    expect(await liveIn(stores.database, REGISTRY)).toEqual(contentsOf(registry))
    expect((await run(registry, {}, later)).drift).toEqual({ missing: 0, stale: 0, different: 0 })
    const { rows } = await sql<{ action: string; actor_id: string | null; tag: string | null; digest: string | null }>`
      select action, actor_id, tag, digest from inventory.changes order by tag, digest
    `.execute(stores.database.sql)
    expect(rows).toEqual([
      { action: 'gone', actor_id: null, tag: 'latest', digest: null },
      { action: 'gone', actor_id: null, tag: null, digest: first.digest },
      { action: 'gone', actor_id: null, tag: null, digest: digestNamed('b1') },
    ])
  })

  test('is found in a repository that the registry does not list any more', async () => {
    const registry = filled()
    await run(registry, { apply: true })
    registry.repositories.delete('team/other')
    const { drift } = await run(registry, { apply: true }, '2026-11-18T12:00:00Z')
    expect(drift).toEqual({ missing: 0, stale: 4, different: 0 })
    expect(await liveIn(stores.database, REGISTRY)).toEqual(contentsOf(registry))
  })

  test('of sizes and media types is found where manifests are read, and put right', async () => {
    const registry = filled()
    const target = { repository: 'team/other', tag: 'one', digest: first.digest, object: 'manifest' } as const
    await ingest([event({ ...target, mediaType: DOCKER_IMAGE, size: 21 })])
    const differences = [
      { kind: 'different', object: 'manifest', name: first.digest, inventory: 'size 21', registry: 'size 20' },
      {
        kind: 'different',
        object: 'manifest',
        name: first.digest,
        inventory: `type ${DOCKER_IMAGE}`,
        registry: `type ${first.mediaType}`,
      },
    ].map((one) => ({ repository: 'team/app', ...one }))
    expect((await run(registry, { apply: true })).differences).toEqual(expect.arrayContaining(differences))
    expect((await run(registry, { reread: true })).drift).toEqual({ missing: 0, stale: 0, different: 0 })
  })

  test('is not what events reported since the first request', async () => {
    const registry = filled()
    await run(registry, { apply: true }, '2026-11-18T09:00:00Z')
    const at = '2026-11-18T10:30:00Z'
    await ingest([
      event({ action: 'delete', repository: 'team/other', digest: first.digest, at }),
      event({ action: 'delete', repository: 'team/other', tag: 'one', at }),
      event({ repository: 'team/app', tag: '2.0', digest: digestNamed('a9'), object: 'manifest', mediaType: 'x', at }),
    ])
    expect((await run(registry, { apply: true }, '2026-11-18T10:00:00Z')).drift).toEqual({
      missing: 0,
      stale: 0,
      different: 0,
    })
    expect((await run(registry)).drift).toEqual({ missing: 2, stale: 2, different: 0 })
  })

  test('is not claimed of blobs that were not requested', async () => {
    const registry = filled()
    await run(registry, { apply: true })
    put(registry.repository('team/other'), second, 'one')
    registry.repository('team/other').blobs.delete(digestNamed('b1'))
    const later = '2026-11-18T12:00:00Z'
    expect((await run(registry, { blobChecks: 'none' }, later)).drift.stale).toBe(0)
    expect((await run(registry, { blobChecks: 'all' }, later)).drift.stale).toBe(1)
  })

  test('is not claimed of blobs that were not requested and were deleted once', async () => {
    const registry = filled()
    await run(registry, { apply: true }, '2026-11-18T09:00:00Z')
    const at = '2026-11-18T10:00:00Z'
    await ingest([event({ action: 'delete', repository: 'team/other', digest: digestNamed('b1'), at })])
    expect((await run(registry, { blobChecks: 'none', apply: true })).drift.missing).toBe(0)
    expect((await run(registry)).drift.missing).toBe(1)
  })
})

describe('a registry that has lost most of its tags', () => {
  const LATER = '2026-11-18T12:00:00Z'
  const many = (repositories: number): StubRegistry => {
    const registry = stubRegistry(100)
    for (let i = 0; i < repositories * 5; i++) put(registry.repository(`r${i % repositories}`), first, `v${i}`)
    return registry
  }
  const tagsIn = async (): Promise<number> =>
    Object.values(await liveIn(stores.database, REGISTRY)).reduce((sum, { tags }) => sum + Object.keys(tags).length, 0)

  test('is shown, but not repaired unless it is forced', async () => {
    await run(many(8), { apply: true })
    const empty = stubRegistry()
    expect((await run(empty, {}, LATER)).drift.stale).toBe(8 * 5 + 8 * 3)
    await expect(run(empty, { apply: true }, LATER)).rejects.toThrow(MassDeletionRefused)
    await expect(run(empty, { apply: true }, LATER)).rejects.toThrow(
      'registry.example lacks 25 of the 40 tags that live in the inventory, more than half of them',
    )
    expect(await tagsIn()).toBe(40)
    const forced = await run(empty, { apply: true, force: true }, LATER)
    expect(forced.drift.stale).toBe(8 * 5 + 8 * 3)
    expect(await liveIn(stores.database, REGISTRY)).toEqual({})
  })

  test('keeps what its repositories without tags have, too', async () => {
    await run(many(8), { apply: true })
    const image = { object: 'manifest', mediaType: first.mediaType, size: 20 } as const
    await createCounting(stores).ingest([
      anEvent({ ...image, id: 1, repository: 'by-digest', digest: digestNamed('a9'), at: '2026-11-18T10:00:00Z' }),
    ])
    const before = await liveIn(stores.database, REGISTRY)
    expect(before).toHaveProperty('by-digest')
    await expect(run(stubRegistry(), { apply: true }, LATER)).rejects.toThrow(MassDeletionRefused)
    expect(await liveIn(stores.database, REGISTRY)).toEqual(before)
  })

  test.each([0, 20])('is weighed by its manifests if it had %i tags', async (tags) => {
    const full = stubRegistry(100)
    for (let i = 0; i < tags; i++) put(full.repository('tagged'), first, `v${i}`)
    await run(full, { apply: true }, '2026-11-18T09:00:00Z')
    const image = { object: 'manifest', mediaType: first.mediaType, size: 20, at: '2026-11-18T10:00:00Z' } as const
    await ingest(
      Array.from({ length: 30 }, (_, i) =>
        event({ ...image, repository: `by-digest-${i % 3}`, digest: digestNamed(`d${i}`) }),
      ),
    )
    const before = await liveIn(stores.database, REGISTRY)
    await expect(run(stubRegistry(), { apply: true }, LATER)).rejects.toThrow(
      /^registry\.example lacks \d+ of the 3[01] manifests that live in the inventory, more than half of them/,
    )
    expect(await liveIn(stores.database, REGISTRY)).toEqual(before)
    await run(stubRegistry(), { apply: true, force: true }, LATER)
    expect(await liveIn(stores.database, REGISTRY)).toEqual({})
  })

  test('is repaired where no more than half of them, or only a few, are gone', async () => {
    await run(many(8), { apply: true })
    const half = many(8)
    for (const name of ['r0', 'r1', 'r2', 'r3']) half.repositories.delete(name)
    expect((await run(half, { apply: true }, LATER)).drift.stale).toBe(4 * 5 + 4 * 3)
    expect(await tagsIn()).toBe(20)
    expect(await lastReconciliations(stores.database.sql)).toMatchObject([{ repositories: 8, failed: 0 }])
    await run(stubRegistry(), { apply: true }, '2026-11-18T13:00:00Z')
    expect(await tagsIn()).toBe(0)
  })
})

describe('a registry that has its few tags', () => {
  test.each(['a', 'z'])(
    'is repaired, whatever untagged manifests were collected, with the tag in repository %s',
    async (name) => {
      const full = stubRegistry(100)
      put(full.repository(name), first, 'v1')
      await run(full, { apply: true }, '2026-11-18T09:00:00Z')
      const image = { object: 'manifest', mediaType: first.mediaType, size: 20, at: '2026-11-18T10:00:00Z' } as const
      await ingest(
        Array.from({ length: 30 }, (_, i) => event({ ...image, repository: 'm', digest: digestNamed(`d${i}`) })),
      )
      await run(full, { apply: true }, '2026-11-18T12:00:00Z')
      const live = await liveIn(stores.database, REGISTRY)
      expect(Object.keys(live)).toEqual([name])
      expect(live[name]?.tags).toEqual({ v1: first.digest })
    },
  )
})

describe('a run', () => {
  test('that was stopped continues after the last repository, with its first start', async () => {
    const stopping = new AbortController()
    const registry = stubRegistry(2, (request) => {
      if (request === 'tags r3') stopping.abort(new Error('stopped'))
    })
    for (const name of ['r1', 'r2', 'r3', 'r4', 'r5']) put(registry.repository(name), first, 'one')
    await expect(run(registry, { apply: true, signal: stopping.signal })).rejects.toThrow('stopped')
    expect(await lastReconciliations(stores.database.sql)).toMatchObject([
      { registry: REGISTRY, repositories: 2, drift: { missing: 8 }, finishedAt: null },
    ])

    registry.asked.length = 0
    const { startedAt, repositories, drift } = await run(registry, { apply: true }, '2026-11-18T12:00:00Z')
    expect({ startedAt, repositories, drift }).toEqual({
      startedAt: new Date(NOW),
      repositories: 5,
      drift: { missing: 20, stale: 0, different: 0 },
    })
    expect(registry.asked.filter((request) => request.startsWith('tags '))).toEqual(['tags r3', 'tags r4', 'tags r5'])
  })

  test('starts over with restart, or if the previous one was to repair nothing', async () => {
    const stopping = new AbortController()
    const registry = stubRegistry(2, (request) => {
      if (request === 'tags r2') stopping.abort(new Error('stopped'))
    })
    for (const name of ['r1', 'r2']) put(registry.repository(name), first, 'one')
    await expect(run(registry, { signal: stopping.signal })).rejects.toThrow('stopped')
    const later = new Date('2026-11-18T12:00:00Z')
    expect((await run(registry, { apply: true }, later.toISOString())).startedAt).toEqual(later)

    const again = new AbortController()
    again.abort(new Error('stopped at once'))
    await expect(run(registry, { signal: again.signal })).rejects.toThrow('stopped at once')
    expect((await run(registry, { restart: true })).drift).toEqual({ missing: 0, stale: 0, different: 0 })
  })

  test('is the only one of its registry', async () => {
    await takeLease(stores.database, `reconcile ${REGISTRY}`, 'somebody else', 60)
    await expect(run(filled())).rejects.toThrow(ReconcileBusy)
  })

  test('names a repository that cannot be read, and continues with the others', async () => {
    const registry = filled()
    const broken = { ...registry, tags: async (name: string, next?: string) => registry.tags(name, next) }
    broken.tags = async (name, next) => {
      if (name === 'team/app') throw new Error('the registry answered 500')
      return registry.tags(name, next)
    }
    const { failures, failed, repositories, drift } = await run(broken)
    expect(failures).toEqual([{ repository: 'team/app', error: 'the registry answered 500' }])
    expect({ failed, repositories, drift }).toEqual({
      failed: 1,
      repositories: 1,
      drift: { missing: 4, stale: 0, different: 0 },
    })
  })

  test('ends where the list of a registry has no end', async () => {
    const registry = filled()
    const pages = [
      { names: ['team/app'], next: 'a' },
      { names: ['team/other'], next: 'b' },
    ]
    let page = 0
    const endless = { ...registry, catalog: async () => Promise.resolve(pages[page++ % 2] ?? { names: [] }) }
    const report = await run(endless)
    expect(report.catalogError).toContain('a list of repositories with 11 pages in a row without a new name')
    expect(report.repositories).toBe(0)
  })

  test('takes a manifest that cannot be read for one of unknown contents, and walks the rest of its repository', async () => {
    const registry = filled()
    const unreadable: StubRegistry = {
      ...registry,
      manifest: async (repository, reference) => {
        if (reference === both.digest) throw new UnreadableManifest('it answered with no manifest')
        return registry.manifest(repository, reference)
      },
    }
    await ingest([event({ object: 'manifest', digest: first.digest, references: [...first.contents] })])
    expect(await run(unreadable, { apply: true })).toMatchObject({ failed: 0, drift: { stale: 0 } })
    const { [`team/app`]: app } = await liveIn(stores.database, REGISTRY)
    expect(app).toMatchObject({
      tags: { '1.0': both.digest, latest: both.digest },
      manifests: [first.digest, both.digest],
      blobs: first.contents.map(({ digest }) => digest),
    })
  })

  test('ends where the list of a registry is longer than can be read, in names or in pages', async () => {
    const registry = filled()
    let page = 0
    const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `n${page}-${i}`)
    const endless = (count: number): StubRegistry => ({
      ...registry,
      tags: async () => Promise.resolve({ names: names(count), next: String(page++) }),
    })
    const errors = async (client: StubRegistry): Promise<unknown> =>
      (await run(client, { rate: 1e9 })).failures.map(({ error }) => error)
    const tooMany = (most: string): unknown =>
      expect.stringContaining(`with more than ${most}, so the rest is not read`)
    expect(await errors(endless(50_000))).toContainEqual(tooMany('500,000 names'))
    expect(await errors(endless(1))).toContainEqual(tooMany('10,000 pages'))
  })

  test('asks for many tags a portion at a time, and for each of them', async () => {
    const registry = stubRegistry(10_000)
    const app = registry.repository('team/app')
    put(app, first)
    for (let i = 0; i < 2_500; i++) app.tags.set(`t${i}`, first.digest)
    let [underWay, most] = [0, 0]
    const pace = {
      send: async <T>(request: () => Promise<T>): Promise<T> => {
        most = Math.max(most, ++underWay)
        await new Promise((resolve) => setImmediate(resolve))
        return request().finally(() => underWay--)
      },
    }
    const recorded = async (): ReturnType<typeof readRecordedState> =>
      readRecordedState(stores.database.sql, REGISTRY, 'team/app')
    const contents = createKnownContents(stores.database.sql, REGISTRY)
    const needs = { client: registry, pace, contents, recorded, blobChecks: 'none' as const, reread: false }
    const found = await walkRepository(needs, 'team/app', microsOf(new Date(NOW)))
    expect(found.tags.size).toBe(2_500)
    expect(most).toBeLessThanOrEqual(1_000)
  })

  test('gives up when the registry is unavailable', async () => {
    const registry = stubRegistry(10, (request) => {
      if (request.startsWith('tags ')) throw new RegistryUnavailable('away')
    })
    for (let i = 0; i < 20; i++) put(registry.repository(`r${i}`), first, 'one')
    await expect(run(registry)).rejects.toThrow('away')
    expect(registry.asked.filter((request) => request.startsWith('tags '))).toHaveLength(5)
  })

  test('continues if repositories may not be read, however many', async () => {
    const registry = stubRegistry(10, (request) => {
      if (/^tags r\d$/.test(request)) throw new RegistryError('it answered 403')
    })
    for (let i = 0; i < 10; i++) put(registry.repository(`r${i}`), first, 'one')
    put(registry.repository('team/app'), first, 'one')
    expect(await run(registry, { apply: true })).toMatchObject({ failed: 10, repositories: 1, drift: { missing: 4 } })
  })

  test('that gave up continues after the failed ones, tries them last, and finishes', async () => {
    const registry = stubRegistry(10, (request) => {
      if (/^tags r\d$/.test(request)) throw new RegistryUnavailable('it answered 500')
    })
    for (let i = 0; i < 6; i++) put(registry.repository(`r${i}`), first, 'one')
    put(registry.repository('team/app'), first, 'one')
    await expect(run(registry, { apply: true })).rejects.toThrow('it answered 500')
    registry.asked.length = 0
    const report = await run(registry, { apply: true }, '2026-11-18T12:00:00Z')
    expect(report).toMatchObject({ startedAt: new Date(NOW), failed: 6, repositories: 1 })
    expect(report.finishedAt).not.toBeNull()
    expect(registry.asked.filter((request) => request.startsWith('tags '))).toEqual(
      ['r5', 'team/app', 'r0', 'r1', 'r2', 'r3', 'r4'].map((name) => `tags ${name}`),
    )
  })

  test('that rests for more than a day begins again', async () => {
    const stopping = new AbortController()
    const registry = stubRegistry(2, (request) => {
      if (request === 'tags r2') stopping.abort(new Error('stopped'))
    })
    for (const name of ['r1', 'r2']) put(registry.repository(name), first, 'one')
    await expect(run(registry, { signal: stopping.signal })).rejects.toThrow('stopped')
    const later = new Date('2026-11-19T11:00:01Z')
    const { startedAt, repositories } = await run(registry, {}, later.toISOString())
    expect({ startedAt, repositories }).toEqual({ startedAt: later, repositories: 2 })
  })

  test('that worked for longer than a day before it stopped is continued: its rest begins when it stops', async () => {
    const stopping = new AbortController()
    let clock = new Date(NOW)
    const registry = stubRegistry(2, (request) => {
      if (request !== 'tags r2') return
      clock = new Date('2026-11-19T15:00:00Z')
      stopping.abort(new Error('stopped'))
    })
    for (const name of ['r1', 'r2']) put(registry.repository(name), first, 'one')
    const deps = { database: stores.database, client: registry, now: () => clock, toleranceMs: 0 }
    const options = { registry: REGISTRY, apply: false, rate: 100_000, signal: stopping.signal }
    await expect(reconcile(deps, options)).rejects.toThrow('stopped')
    expect(await run(registry, {}, '2026-11-19T16:00:00Z')).toMatchObject({ startedAt: new Date(NOW), repositories: 2 })
  })

  test('reports its progress', async () => {
    const lines: string[] = []
    await run(filled(), { onProgress: ({ repository, done, of }) => void lines.push(`${done}/${of} ${repository}`) })
    expect(lines).toEqual(['0/2 team/app', '1/2 team/other', '2/2 '])
  })
})
