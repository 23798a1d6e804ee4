import { describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RepositoryPath } from '../../src/events/reference.js'
import type { Descriptor } from '../../src/events/descriptor.js'
import { finishAliasMoves } from '../../src/inventory/record/finish-moves.js'
import { mergeAliases } from '../../src/inventory/record/merge-aliases.js'
import { carryOutRenames } from '../../src/inventory/record/renames.js'
import { settleChecks } from '../../src/inventory/record/settle-checks.js'
import { reconcile } from '../../src/inventory/reconcile/reconcile.js'
import type { Database } from '../../src/storage/sql/database.js'
import { blob, short, useAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { liveIn } from '../servers/inventory.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'
import { stubRegistry } from '../servers/stub-registry.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const HOUR_LATER = new Date(NOW.getTime() + 3_600_000)
const REGISTRY = 'registry.example'
const ALIAS = 'alias.example'
const NODE = { address: '192.0.2.9', userAgent: 'containerd/v1.7.21' }
/** Manifests, blobs, tags, lookups, pushes, changes, and the end. */
const STEPS = [0, 1, 2, 3, 4, 5, 6, 7]

const part = (name: string, mediaType: string): Descriptor => ({ digest: digestOf(name), mediaType, size: 10 })
const layer = (name: string): Descriptor => part(name, 'application/vnd.oci.image.layer.v1.tar+gzip')
const manifest = (name: string, references: Descriptor[], more: Wanted = {}): Wanted => ({
  ...{ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, references, ...more },
})
type Renamed = NonNullable<Wanted['rename']>['what']

const rename = (from: string, to: string, at: string, what: Renamed = 'repository'): Wanted => ({
  ...{ action: 'rename', repository: from, at },
  rename: { what, from: from as RepositoryPath, to: to as RepositoryPath },
})

type NamedRepository = { registry: string; repository: string }

const JANUARY = '2026-01-10T10:00:00Z'
const LATELY = '2026-11-20T10:00:00Z'

/** An image of a configuration and a layer, as their names say. */
const image = (name: string, more: Wanted): Wanted =>
  manifest(`a${name}`, [part(`c${name}`, OCI_CONFIG), layer(`b${name}`)], more)

/** An index of a2. */
const index = (more: Wanted): Wanted => manifest('1d', [part('a2', OCI_IMAGE)], { ...more, mediaType: OCI_INDEX })

/**
 * In use: `v1` and `all`, an index, by the digests that they point to; a5 without a tag; and `v6`, of which the new path had
 * lost a layer once. Of no use: the tag `idle`, the manifest a0, the blob b0. `broken` lacks a blob.
 */
const history = (from: NamedRepository, to: NamedRepository): Wanted[] => {
  const pushed = { ...from, at: JANUARY }
  const pulled = { ...from, action: 'pull', at: LATELY } as const
  const names = ['1', '2', '3', '4', '5']
  return [
    { ...blob('b6', to), at: '2026-01-02T10:00:00Z' },
    { ...to, action: 'delete', digest: digestOf('b6'), at: '2026-01-03T10:00:00Z' },
    ...['b0', ...names.flatMap((name) => [`c${name}`, `b${name}`])].map((name) => blob(name, pushed)),
    image('1', { ...pushed, tag: 'v1' }),
    image('2', pushed),
    index({ ...pushed, tag: 'all' }),
    image('3', { ...pushed, tag: 'broken' }),
    { ...from, action: 'delete', digest: digestOf('b3'), at: '2026-01-11T10:00:00Z' },
    image('4', { ...pushed, tag: 'idle' }),
    image('5', pushed),
    manifest('a0', [part('c1', OCI_CONFIG), layer('b1')], pushed),
    ...['1', '3', '5'].map((name) => image(name, pulled)),
    index(pulled),
    image('6', { ...pulled, tag: 'v6' }),
    ...['c6', 'b6'].map((name) => blob(name, pulled)),
  ]
}

const LISTS: [question: string, parameters: object, whole: string[]][] = [
  ['untagged-manifests', {}, ['a0']],
  ['untagged-manifests', { unused_for: '30d' }, ['a0']],
  ['orphaned-blobs', {}, ['b0']],
  ['missing-blobs', {}, ['b3']],
  ['old-images', { older_than: '30d' }, ['1d', 'a1', 'a3', 'a4']],
  ['unused-images', { unused_for: '30d' }, ['a4']],
  ['last-used', { unused_for: '30d' }, ['a4']],
]
const TAGS = { all: '1d', broken: 'a3', idle: 'a4', v1: 'a1', v6: 'a6' }

type Moves = {
  from: NamedRepository
  to: NamedRepository
  begins: Wanted[]
  move: (database: Database) => Promise<void>
}
const RENAME: Moves = {
  from: { registry: REGISTRY, repository: 'team/old' },
  to: { registry: REGISTRY, repository: 'team/new' },
  begins: [rename('team/old', 'team/new', '2026-11-25T10:00:00Z')],
  move: async (database) => carryOutRenames(database, { since: new Date(0) }),
}
const OF_ALIAS: Moves = {
  from: { registry: ALIAS, repository: 'team/app' },
  to: { registry: REGISTRY, repository: 'team/app' },
  begins: [],
  move: async (database) => mergeAliases(database, new Map([[ALIAS, REGISTRY]])),
}

describe.each(STORE_PAIRS)('a repository that is being moved, on %s', (_, open) => {
  const { stores, asking } = useAsking(open, NOW)

  /** The database of a process; `before` runs before each transaction of a job, which fails if it does. */
  const watched = (before: (transaction: number) => void): Database => {
    let begun = 0
    const { sql: kysely } = stores.database
    return {
      ...stores.database,
      sql: new Proxy(kysely, {
        get: (target, key) => {
          if (key === 'transaction') before(++begun)
          const value: unknown = Reflect.get(target, key, target)
          return typeof value === 'function' ? (value.bind(target) as unknown) : value
        },
      }),
    }
  }
  /** The process is killed after so many transactions. */
  const failingAfter = (transactions: number): Database =>
    watched((transaction) => {
      if (transaction > transactions) throw new Error('killed')
    })
  const stopped = async (moves: Moves, transactions: number): Promise<void> => {
    await moves.move(failingAfter(transactions)).catch((error: unknown) => {
      expect(error).toBeInstanceOf(AggregateError)
    })
  }
  const settled = async ({ move }: Moves): Promise<void> => {
    await finishAliasMoves(stores.database)
    await move(stores.database)
  }
  const unsettled = async (): Promise<number> =>
    (await sql`select from inventory.tag_lookups where not settled`.execute(stores.database.sql)).rows.length
  const openMoves = async (): Promise<number> => {
    const { rows } = await sql`select from inventory.open_moves`.execute(stores.database.sql)
    return rows.length
  }
  /** All lists are empty while the move is open. */
  const expectLists = async ({ areEmpty }: { areEmpty: boolean }): Promise<void> => {
    for (const [question, parameters, whole] of LISTS) {
      const items = await asking.items(question, parameters)
      const digests = items.map(({ digest, blob_digest }) => short(digest ?? blob_digest)).sort()
      expect([question, digests]).toEqual([question, areEmpty ? [] : whole])
    }
  }
  const expectSummary = async ({ isOpen }: { isOpen: boolean }): Promise<void> => {
    await asking.summary()
    await expectLists({ areEmpty: isOpen })
    expect(await asking.items('totals')).toMatchObject([{ orphaned_blobs: isOpen ? 0 : 1 }])
  }
  const noteOf = async (question: string, parameters: object = {}): Promise<string | undefined> =>
    (await asking.answer(question, parameters)).notes?.find((note) => note.includes('being moved'))

  describe.each([
    ['a rename', RENAME],
    ['an alias', OF_ALIAS],
  ])('by %s', (__, moves) => {
    const { from, to, begins } = moves
    const expectMoved = async (): Promise<void> => {
      expect(await openMoves()).toBe(0)
      const named = (names: string[]): string[] => names.map(digestOf).sort()
      expect({ ...(await liveIn(stores.database, ALIAS)), ...(await liveIn(stores.database, REGISTRY)) }).toEqual({
        [to.repository]: {
          tags: Object.fromEntries(Object.entries(TAGS).map(([tag, name]) => [tag, digestOf(name)])),
          manifests: named(['1d', 'a0', 'a1', 'a2', 'a3', 'a4', 'a5', 'a6']),
          blobs: named(['b0', 'b1', 'b2', 'b4', 'b5', 'b6', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6']),
        },
      })
    }

    test('has nothing offered that is in use, after whichever step', async () => {
      await asking.ingest(...history(from, to))
      await expectSummary({ isOpen: false })
      await asking.ingest(...begins)
      for (const transactions of STEPS) {
        await stopped(moves, transactions)
        // Also before the first transaction: the move is known.
        const isOpen = transactions < STEPS.length - 1
        // Of the summary from before, and of one that is made meanwhile.
        if (isOpen) await expectLists({ areEmpty: true })
        await expectSummary({ isOpen })
        expect(await openMoves()).toBe(isOpen && transactions > 0 ? 1 : 0)
        expect((await noteOf('unused-images', { unused_for: '30d' })) !== undefined).toBe(isOpen)
      }
      await expectMoved()
    })

    test('has no part listed as missing that is on its way', async () => {
      await asking.ingest(
        image('7', { ...to, at: '2026-01-02T10:00:00Z', tag: 'v7' }),
        { ...to, action: 'delete', digest: digestOf('b7'), at: '2026-01-03T10:00:00Z' },
        blob('b7', { ...from, at: JANUARY }),
        // A pull does not prove that a blob is there which is known as deleted.
        image('7', { ...from, action: 'pull', at: LATELY, tag: 'v7' }),
      )
      await asking.summary()
      const missing = async (): Promise<string[]> =>
        (await asking.items('missing-blobs')).map(({ blob_digest }) => short(blob_digest))
      expect(await missing()).toEqual(['b7'])
      await asking.ingest(...begins)
      // The first step finds it again, by the manifest that comes to the new path.
      for (const transactions of STEPS.slice(1)) {
        await stopped(moves, transactions)
        expect(await missing()).toEqual([])
      }
    })

    test.each(STEPS)('loses no check that is settled after %i transactions', async (transactions) => {
      const head = { ...from, ...NODE, action: 'pull', method: 'HEAD', at: LATELY } as const
      await asking.ingest(...history(from, to).filter(({ digest, at }) => at !== LATELY || digest === digestOf('a6')))
      await asking.ingest(
        ...['1', '3', '5'].map((name) => image(name, head)),
        ...[image('1', { ...head, tag: 'v1' }), index(head), ...begins],
        ...['c6', 'b6'].map((name) => blob(name, { ...from, action: 'pull', at: LATELY })),
      )
      await stopped(moves, transactions)
      await settleChecks(stores.database, HOUR_LATER)
      expect((await unsettled()) > 0).toBe(transactions < STEPS.length - 1)
      await settled(moves)
      await settleChecks(stores.database, HOUR_LATER)
      expect(await unsettled()).toBe(0)
      await expectMoved()
      await expectSummary({ isOpen: false })
    })

    test('loses no check that was being settled when the move began', async () => {
      const head = { ...from, ...NODE, action: 'pull', method: 'HEAD', at: LATELY } as const
      await asking.ingest(...history(from, to), image('4', head), ...begins)
      await stopped(moves, 3)
      // It had read that no move was open, and then found no rows of what was checked.
      await sql`update inventory.tag_lookups set settled = true`.execute(stores.database.sql)
      await settled(moves)
      await settleChecks(stores.database, HOUR_LATER)
      expect(await asking.items('unused-images', { unused_for: '30d' })).toEqual([])
    })
  })

  test('is named in a note of what it is asked about, and of no other repository', async () => {
    await asking.ingest(
      ...history(RENAME.from, RENAME.to),
      ...RENAME.begins,
      manifest('a9', [], { repository: 'other' }),
    )
    await stopped(RENAME, 1)
    for (const repository of ['team/old', 'team/new']) {
      expect(await noteOf('images', { repository })).toMatch(
        /^registry.example\/team\/old is being moved to registry.example\/team\/new: /,
      )
    }
    expect(await noteOf('images', { repository: 'other' })).toBeUndefined()
    expect(await noteOf('repositories', { prefix: 'ot' })).toBeUndefined()
    expect(await noteOf('repositories', { prefix: 'team/n' })).toBeDefined()
  })

  test.each<[Renamed, string]>([
    ['repository', 'team/old'],
    ['namespace', 'team'],
  ])('is not one that came to the old path after the rename of the %s', async (what, from) => {
    const repository = { repository: 'team/old' }
    await asking.ingest(rename(from, 'new', '2026-11-25T10:00:00Z', what))
    await asking.ingest(image('1', { ...repository, at: '2026-11-26T10:00:00Z', tag: 'v1' }))
    expect(await noteOf('images', repository)).toBeUndefined()
    await asking.ingest(image('2', { ...repository, at: JANUARY, tag: 'v2' }))
    expect(await noteOf('images', repository)).toMatch(
      /^registry.example\/team\/old is being moved to registry.example\/new/,
    )
  })

  test('comes last among those that may be in use all the same', async () => {
    await asking.ingest(...history(RENAME.from, RENAME.to), ...RENAME.begins)
    const unused = { repository: 'z', at: '2026-01-10T10:00:00Z' }
    await asking.ingest(manifest('a9', [part('c9', OCI_CONFIG)], { ...unused, tag: 'unused' }))
    await stopped(RENAME, 1)
    expect((await asking.items('last-used')).map(({ tag }) => tag)).toEqual(['unused', ...Object.keys(TAGS)])
  })

  test('keeps its mark while something that came late is left, and loses it with the next run', async () => {
    await asking.ingest(...history(RENAME.from, RENAME.to), ...RENAME.begins)
    let late: Promise<void> | undefined
    // Manifests have gone by then; the tag goes, and its manifest stays until the next run.
    const database = watched((transaction) => {
      if (transaction === 3)
        late = asking.ingest(
          manifest('a7', [part('c7', OCI_CONFIG)], { ...RENAME.from, at: '2026-01-11T10:00:00Z', tag: 'late' }),
        )
    })
    await RENAME.move({
      ...database,
      sql: new Proxy(database.sql, {
        get: (target, key) => {
          const value: unknown = Reflect.get(target, key, target)
          if (key !== 'transaction' || typeof value !== 'function') return value
          const begin = (value as typeof target.transaction)()
          return () => ({ execute: async (work: never) => (await late, begin.execute(work)) })
        },
      }),
    })
    expect(await openMoves()).toBe(1)
    await expectSummary({ isOpen: true })
    await settled(RENAME)
    expect(await openMoves()).toBe(0)
    expect(await liveIn(stores.database, REGISTRY)).toMatchObject({ 'team/new': { tags: { late: digestOf('a7') } } })
  })

  test('is finished if nothing but its end is left, whatever is at the old path again', async () => {
    const at = { ...RENAME.from, at: '2026-11-26T10:00:00Z' }
    await asking.ingest(
      ...history(RENAME.from, RENAME.to),
      ...RENAME.begins,
      manifest('a8', [], { ...at, tag: 'again' }),
    )
    await stopped(RENAME, 6)
    expect(await openMoves()).toBe(1)
    await RENAME.move(stores.database)
    expect(await openMoves()).toBe(0)
    expect(await liveIn(stores.database, REGISTRY)).toMatchObject({ 'team/old': { tags: { again: digestOf('a8') } } })
  })

  test.each([1, 2, 3])('is moved on only when it is whole, after %i transactions', async (transactions) => {
    await asking.ingest(...history(RENAME.from, RENAME.to), ...RENAME.begins)
    await asking.ingest(rename('team/new', 'team/last', '2026-11-26T10:00:00Z'))
    let begun = 0
    // The first rename fails; the second is tried all the same.
    await RENAME.move(
      watched(() => {
        if (++begun === transactions + 1) throw new Error('killed')
      }),
    ).catch(() => undefined)
    await expectSummary({ isOpen: true })
    expect(await openMoves()).toBe(1)
    await settled(RENAME)
    expect(await openMoves()).toBe(0)
    expect(await liveIn(stores.database, REGISTRY)).toMatchObject({
      'team/last': { tags: { all: digestOf('1d'), v1: digestOf('a1') } },
    })
  })

  test('is left alone by a reconciliation', async () => {
    await asking.ingest(...history(RENAME.from, RENAME.to), ...RENAME.begins)
    await stopped(RENAME, 1)
    const registry = stubRegistry()
    registry.repository('team/new')
    const before = await liveIn(stores.database, REGISTRY)
    const { failures } = await reconcile(
      { database: stores.database, client: registry, now: () => NOW, toleranceMs: 0 },
      { registry: REGISTRY, apply: true, rate: 1_000_000, force: true },
    )
    expect(failures.map(({ repository, error }) => [repository, error.includes('is being moved')])).toEqual([
      ['team/new', true],
      ['team/old', true],
    ])
    expect(await liveIn(stores.database, REGISTRY)).toEqual(before)
  })
})
