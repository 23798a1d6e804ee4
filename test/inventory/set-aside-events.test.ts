import { beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { microsOf } from '../../src/events/calendar.js'
import type { ResolvedItem } from '../../src/events/reported-item.js'
import { mergeAliases } from '../../src/inventory/record/merge-aliases.js'
import { carryOutRenames } from '../../src/inventory/record/renames.js'
import { reconcile } from '../../src/inventory/reconcile/reconcile.js'
import { blob, imageWithLayer, useAsking, type Wanted } from '../servers/asking.js'
import { createCounting } from '../servers/counting.js'
import { readByHost } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'
import { put, stubRegistry } from '../servers/stub-registry.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const JANUARY = '2026-01-10T10:00:00Z'
const FEBRUARY = '2026-02-10T10:00:00Z'
const LATELY = '2026-11-20T10:00:00Z'
const AHEAD = '2026-12-27T10:00:00Z'
/** The lists for clean-up, with what they offer if nothing is unknown. */
const LISTS = [
  ['untagged-manifests', {}, 'a3'],
  ['unused-images', { unused_for: '30d' }, 'a1'],
  ['last-used', { unused_for: '30d' }, 'a1'],
  ['orphaned-blobs', {}, 'b9'],
] as const

const image = (name: string, more: Wanted = {}): Wanted => imageWithLayer(name, { at: JANUARY, ...more })
const PUSHED: Wanted[] = [
  ...['ca1', 'ba1', 'ca3', 'ba3', 'b9'].map((name) => blob(name, { at: JANUARY })),
  image('a1', { tag: '1' }),
  image('a3'),
  // Pulls of the registry arrive.
  { repository: 'other', tag: 'x', object: 'manifest', digest: digestOf('e1'), action: 'pull', at: LATELY },
]

type Sent = { target?: object | null; request?: object } & Record<string, unknown>
const TARGET = { repository: 'team/app', tag: '1', digest: digestOf('a1'), mediaType: OCI_IMAGE }
const REQUEST = { host: 'registry.example', method: 'GET' }
/** An event as a registry sends it. */
const sent = (number: number, { target = {}, request, ...more }: Sent = {}): object => ({
  id: `00000000-0000-4000-9000-${String(number).padStart(12, '0')}`,
  timestamp: LATELY,
  action: 'pull',
  target: target && { ...TARGET, ...target },
  request: { ...REQUEST, ...request },
  ...more,
})
const PUSH_AHEAD: Sent = { timestamp: AHEAD, action: 'push' }

describe.each(STORE_PAIRS)('events that were set aside, on %s', (_, open) => {
  const { stores, asking, startAnew } = useAsking(open, NOW)
  beforeAll(async () => {
    await sql`alter table tallies add constraint no_checks check (name <> 'i_container_registry_check')`.execute(
      stores.database.sql,
    )
  })

  const read = (events: readonly unknown[], at = LATELY): ResolvedItem[] =>
    readByHost(JSON.stringify({ events }), microsOf(new Date(at)))
  const deliver = async (events: readonly unknown[], at = LATELY): Promise<unknown[]> =>
    createCounting(stores, () => new Date(at)).ingest(read(events, at))
  /** Pushes, after which the registry counts as heard until now. */
  const push = async (): Promise<void> => {
    await asking.ingest(...PUSHED)
    await asking.summary()
  }
  const offered = async (): Promise<unknown[]> => {
    const all = []
    for (const [list, parameters] of LISTS) all.push([list, (await asking.digests(list, parameters)).join()])
    return all
  }
  const notesOf = async (list: string, parameters: object): Promise<string[]> =>
    ((await asking.answer(list, parameters)).notes ?? []).filter((note) => note.includes('set aside'))
  const allNotes = async (): Promise<unknown[]> => {
    const all = []
    for (const [list, parameters] of LISTS) all.push(...(await notesOf(list, parameters)))
    return all
  }
  const EVERYTHING = LISTS.map(([list, , digests]) => [list, digests])
  const NOTHING = LISTS.map(([list]) => [list, ''])
  const marks = async (): Promise<unknown[]> =>
    (await sql`select * from inventory.set_aside_events order by registry, name`.execute(stores.database.sql)).rows

  test('are needed for nothing to be offered', async () => {
    await push()
    expect([await offered(), await allNotes()]).toEqual([EVERYTHING, []])
  })

  const REASONS: [string, Sent][] = [
    ['timestamp_in_future', { timestamp: AHEAD }],
    ['bad_timestamp', { timestamp: 'yesterday' }],
    ['unknown_action', { action: 'fetch' }],
    ['wrong_type', { timestamp: 5 }],
    ['bad_tag', { target: { tag: '-' } }],
    ['bad_digest', { target: { digest: 'sha256' } }],
    ['nul_character', { target: { tag: '1\0' } }],
    ['broken_utf8', { target: { tag: '1\ufffd' } }],
    ['too_long', { target: { tag: '1'.repeat(129) } }],
    ['not_storable', { request: { method: 'HEAD' } }],
  ]
  test.each(REASONS)('as %s leave out their repository, with a note', async (reason, event) => {
    await push()
    expect(await deliver([sent(1, event)])).toEqual([reason])
    await push()
    expect(await offered()).toEqual(NOTHING)
    const expected = `an event of registry.example/team/app that arrived at 2026-11-20T10:00:00.000000Z was set aside (${reason})`
    expect(await allNotes()).toEqual(LISTS.map(() => expect.stringContaining(expected)))
  })

  test('leave out no other repository', async () => {
    await deliver([sent(1, { timestamp: AHEAD, target: { repository: 'team/other' } })])
    await push()
    expect([await offered(), await allNotes()]).toEqual([EVERYTHING, []])
    expect(await asking.items('repositories', { repository: 'team/other' })).toEqual([])
  })

  test.each([
    ['in order', (all: unknown[]) => all],
    ['in reverse', (all: unknown[]) => [...all].reverse()],
    ['twice', (all: unknown[]) => [...all, ...[...all].reverse()]],
  ])('have the same effect %s, one by one or together', async (_how, order) => {
    const events = order([
      sent(1, { timestamp: AHEAD }),
      sent(2, { target: { tag: '-' } }),
      sent(3, PUSH_AHEAD),
      sent(4, { timestamp: AHEAD, target: { repository: 'team/new' } }),
    ])
    const expected = { registry: 'registry.example', arrived_at: new Date(LATELY) }
    for (const isTogether of [true, false]) {
      await startAnew()
      if (isTogether) await deliver(events)
      else for (const event of events) await deliver([event])
      await push()
      expect(await offered()).toEqual(NOTHING)
      expect(await marks()).toEqual([
        { ...expected, name: 'team/app', changed_at: new Date(LATELY), reason: 'timestamp_in_future' },
        { ...expected, name: 'team/new', changed_at: null, reason: 'timestamp_in_future' },
      ])
    }
  })

  test('count when they first arrived', async () => {
    expect(await deliver([sent(1, { timestamp: AHEAD })], FEBRUARY)).toEqual(['timestamp_in_future'])
    expect(await deliver([sent(1, { timestamp: AHEAD })], '2026-02-12T10:00:00Z')).toEqual(['repeated'])
    expect(await marks()).toEqual([expect.objectContaining({ arrived_at: new Date(FEBRUARY) })])
  })

  test('are no use any more after the time of the list', async () => {
    await deliver([sent(1, { timestamp: AHEAD })], FEBRUARY)
    await push()
    expect([await offered(), await allNotes()]).toEqual([EVERYTHING, []])
    expect(await asking.digests('unused-images', { unused_for: '2026-02-01' })).toEqual([])
  })

  test('may have changed the repository unless they are pulls, until it is reconciled', async () => {
    await deliver([sent(1, PUSH_AHEAD)], FEBRUARY)
    await push()
    expect(await offered()).toEqual([
      ['untagged-manifests', ''],
      ['unused-images', 'a1'],
      ['last-used', 'a1'],
      ['orphaned-blobs', ''],
    ])
    expect(await notesOf('orphaned-blobs', {})).toEqual([expect.stringContaining('inventory reconcile --apply')])
    const registry = stubRegistry()
    for (const [name, tag] of [['a1', '1'], ['a3']] as const) {
      const manifest = {
        digest: digestOf(name),
        mediaType: OCI_IMAGE,
        size: 500,
        contents: image(name).references ?? [],
      }
      put(registry.repository('team/app'), manifest, tag)
    }
    const deps = { database: stores.database, client: registry, now: () => NOW }
    await reconcile(deps, { registry: 'registry.example', apply: true, rate: 1_000_000 })
    await asking.summary()
    expect(await asking.digests('untagged-manifests', { unused_for: '30d' })).toEqual(['a3'])
    expect(await notesOf('orphaned-blobs', {})).toEqual([])
  })

  test.each([
    ['repository', 'team/old'],
    ['namespace', 'group/app'],
  ] as const)('before and after the rename of a %s are about both paths', async (what, old) => {
    const [from, to] = what === 'namespace' ? ['group', 'team'] : [old, 'team/app']
    const rename = { what, from, to } as NonNullable<Wanted['rename']>
    const before = PUSHED.map((one) => ({ ...one, repository: one.repository ?? old }))
    const renamed: Wanted = { action: 'rename', repository: old, rename, at: FEBRUARY }
    const late = sent(1, { timestamp: AHEAD, target: { repository: old } })
    for (const isLate of [false, true]) {
      await startAnew()
      if (!isLate) await deliver([late])
      await asking.ingest(...before, renamed)
      await carryOutRenames(stores.database, { since: new Date(0) })
      if (isLate) await deliver([late])
      await asking.ingest({ ...blob('e2'), repository: 'other', at: LATELY })
      await asking.summary()
      expect([isLate, await offered()]).toEqual([isLate, NOTHING])
    }
  })

  test('of an alias are about the repository of its registry', async () => {
    await deliver([sent(1, { timestamp: AHEAD, request: { host: 'alias.example' } })])
    await push()
    expect(await offered()).toEqual(EVERYTHING)
    await mergeAliases(stores.database, new Map([['alias.example', 'registry.example']]))
    expect(await offered()).toEqual(NOTHING)
    expect(await marks()).toHaveLength(1)
  })

  test.each<[string, string, unknown]>([
    ['without a repository', 'no_target', sent(1, { target: null })],
    ['with an unreadable repository', 'bad_repository', sent(1, { target: { repository: 'Team' } })],
    ['that are no objects', 'not_an_object', 'an event'],
    ['of an unknown registry', 'timestamp_in_future', sent(1, { timestamp: AHEAD, request: { host: '' } })],
  ])('%s leave out nothing, and are in a note', async (_what, reason, event) => {
    expect(await deliver([event, sent(2, { target: { repository: 5 } })])).toEqual([reason, 'wrong_type'])
    expect(await deliver([event])).toEqual(['repeated'])
    await push()
    expect(await offered()).toEqual(EVERYTHING)
    expect(await allNotes()).toEqual(LISTS.map(() => expect.stringContaining('(2 since 2026-11-20)')))
  })

  test('of an unknown repository matter to lists of uses for their time, and to others until a reconciliation', async () => {
    await deliver([sent(1, { target: null })], FEBRUARY)
    await push()
    const listed = async (): Promise<number[]> =>
      Promise.all(LISTS.map(async ([list, parameters]) => (await notesOf(list, parameters)).length))
    expect(await listed()).toEqual([1, 0, 0, 1])
    await sql`update inventory.repositories set reconciled_at = '2026-02-11T00:00:00Z'`.execute(stores.database.sql)
    expect(await listed()).toEqual([0, 0, 0, 0])
    expect(await notesOf('unused-images', { unused_for: '2026-02-01' })).toHaveLength(1)
  })

  test('are stored although the database refuses their repository', async () => {
    const refuse = sql`alter table inventory.set_aside_events add constraint no_refused check (name <> 'team/refused')`
    await refuse.execute(stores.database.sql)
    const events = [sent(1, { timestamp: AHEAD, target: { repository: 'team/refused' } }), sent(2, PUSH_AHEAD)]
    expect(await deliver(events)).toEqual(['timestamp_in_future', 'timestamp_in_future'])
    await sql`alter table inventory.set_aside_events drop constraint no_refused`.execute(stores.database.sql)
    expect(await marks()).toEqual([expect.objectContaining({ name: 'team/app' })])
    await push()
    expect(await notesOf('orphaned-blobs', { repository: 'other' })).toEqual([
      expect.stringContaining('(1 since 2026-11-20)'),
    ])
  })
})
