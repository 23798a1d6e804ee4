import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { ask, type InventoryAnswer, type Item } from '../../src/inventory/questions/ask.js'
import { lastUsed } from '../../src/inventory/questions/last-used.js'
import { joinLookups } from '../../src/inventory/record/join-lookups.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'
import { erase } from '../../src/pulls/roll-up/erase.js'
import { foldPending } from '../../src/pulls/fold-job/fold-pending.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')
type Wanted = NonNullable<Parameters<typeof anEvent>[0]>

const pushed = (tag: string, at: string, digest = tag): Wanted => ({ tag, at, digest: digestOf(digest), name: 'ci' })
const asked = (method: string, at: string, agent: string, wanted: Wanted): Wanted => ({
  ...{ action: 'pull', method, at, userAgent: agent, address: '192.0.2.1' },
  ...wanted,
})

/** Of 1a, 1b and so on: pushed in January, and used as the names say. */
const HISTORY: Wanted[] = [
  ...['1a', '1b', '1c', '1d', '1e', '1f'].map((tag) => pushed(tag, '2026-01-10T10:00:00Z')),
  pushed('2a', '2026-11-20T10:00:00Z'),
  pushed('2b', '2025-06-10T10:00:00Z'),
  { ...pushed('1a', '2026-01-05T10:00:00Z'), repository: 'team/lib' },
  // Checked only: the client has it, and asks whether it changed.
  asked('HEAD', '2026-11-19T10:00:00Z', 'containerd/v1.7.21', { tag: '1b', digest: digestOf('1b') }),
  // Pulled, then checked by another.
  asked('GET', '2026-05-01T10:00:00Z', 'skopeo/1.13.3', { tag: '1c', digest: digestOf('1c') }),
  asked('HEAD', '2026-05-02T10:00:00Z', 'Watchtower (Docker)', { tag: '1c', digest: digestOf('1c') }),
  // By digest alone.
  asked('GET', '2026-06-01T10:00:00Z', 'cri-o/1.28.1', { digest: digestOf('1d') }),
  // HEAD by tag, GET by digest: one invocation that is a pull of the tag.
  asked('HEAD', '2026-07-01T10:00:00Z', 'containerd/v2.0.0', { tag: '1e', digest: digestOf('1e') }),
  asked('GET', '2026-07-01T10:00:02Z', 'containerd/v2.0.0', { digest: digestOf('1e') }),
  { action: 'delete', at: '2026-10-01T10:00:00Z', tag: '1f' },
]

const toItem = ({ tag, last_used_at, last_pulled_at, client, kind }: Item): unknown[] => [
  tag,
  ...[last_used_at, last_pulled_at].map((at) => (at === null ? null : String(at).slice(5, 10))),
  client,
  kind,
]

describe.each(STORE_PAIRS)('when each tag was used last, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    const { ingest } = createCounting(stores, () => NOW)
    await ingest(
      HISTORY.map((wanted, i) => anEvent({ id: i + 1, object: 'manifest', mediaType: OCI_IMAGE, size: 20, ...wanted })),
    )
    await joinLookups(stores.database)
    const { database } = stores
    await foldPending({
      database,
      windows: WINDOWS,
      lateness: 0,
      now: () => NOW,
      onFolded: async () => Promise.resolve(),
    })
  })
  afterAll(async () => stores.close())

  const answer = async (parameters: object = {}): Promise<InventoryAnswer> =>
    ask(stores.database.sql, lastUsed, parameters, NOW)
  const tags = async (parameters: object): Promise<unknown[]> =>
    (await answer(parameters)).items.map(({ repository, tag }) => `${String(repository)}:${String(tag)}`)

  test('never used ones first, then by the day; a check is a use, and so is a pull by digest', async () => {
    const { items } = await answer({ repository: 'team/app' })
    expect(items.map(toItem)).toEqual([
      ['2b', null, null, null, null],
      ['1a', null, null, null, null],
      ['2a', null, null, null, null],
      // The day is that of the tag itself, which was never asked for by name.
      ['1d', '06-01', '06-01', 'cri-o', 'runtime'],
      ['1c', '05-02', '05-01', 'watchtower', 'updater'],
      ['1e', '07-01', '07-01', 'containerd', 'runtime'],
      ['1b', '11-19', null, 'containerd', 'runtime'],
    ])
    expect(items[3]).toEqual({
      registry: 'registry.example',
      repository: 'team/app',
      tag: '1d',
      digest: digestOf('1d'),
      size: null,
      pushed_at: '2026-01-10T10:00:00.000000Z',
      last_used_at: '2026-06-01T10:00:00.000000Z',
      last_pulled_at: '2026-06-01T10:00:00.000000Z',
      client: 'cri-o',
      kind: 'runtime',
    })
  })

  test('unused for an age: neither used nor pushed since', async () => {
    expect(await tags({ unused_for: '180d' })).toEqual(['team/app:2b', 'team/lib:1a', 'team/app:1a', 'team/app:1c'])
    expect(await tags({ unused_for: '1y' })).toEqual(['team/app:2b'])
    expect(await tags({ unused_for: '2026-01-06' })).toEqual(['team/app:2b', 'team/lib:1a'])
    expect(await tags({ unused_for: '10y' })).toEqual([])
    expect(await tags({ registry: 'elsewhere.example' })).toEqual([])
  })

  test('pages of any size have the same rows, also across never used tags', async () => {
    const whole = (await answer()).items
    expect(whole).toHaveLength(8)
    for (const limit of ['1', '2', '3', '5']) {
      const walked: Item[] = []
      let cursor: string | null | undefined
      do {
        const page = await answer({ limit, ...(cursor !== undefined && { cursor }) })
        walked.push(...page.items)
        cursor = page.next
      } while (cursor !== null)
      expect(walked).toEqual(whole)
    }
  })
})

describe.each(STORE_PAIRS)('the client of the last use, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const fold = async (): Promise<void> =>
    foldPending({
      ...{ database: stores.database, windows: WINDOWS, lateness: 0, now: () => NOW },
      onFolded: async () => Promise.resolve(),
    })
  const image = { tag: '1.0', digest: digestOf('1.0'), object: 'manifest', mediaType: OCI_IMAGE } as const
  const pull = (id: number, at: string, userAgent: string, address: string): ReturnType<typeof anEvent> =>
    anEvent({ ...image, id, at, userAgent, address, action: 'pull', method: 'GET' })
  const lastUse = async (parameters: object = {}): Promise<unknown[]> => {
    const { items } = await ask(stores.database.sql, lastUsed, parameters, NOW)
    return items.map(({ last_used_at, client, kind }) => [last_used_at, client, kind])
  }
  const [FIRST, LAST] = ['2026-11-20T03:32:02.000000Z', '2026-11-20T03:35:01.000000Z']

  test.each(['settled', 'not settled'])(
    'is not that of an earlier use when the last one, %s, is erased',
    async (state) => {
      const { ingest } = createCounting(stores, () => NOW)
      await ingest([
        anEvent({ ...image, id: 1, at: '2026-11-19T00:00:00Z' }),
        pull(2, FIRST, 'skopeo/1.13.3', '192.0.2.1'),
      ])
      await fold()
      await ingest([pull(3, LAST, 'trivy/0.50', '192.0.2.2')])
      // Before the last use is settled, its client is not known, or that of a provisional outcome.
      expect(await lastUse()).toEqual([[LAST, null, null]])
      const { rows } = await sql<{ origin: string }>`select origin from pulls.pending`.execute(stores.database.sql)
      if (state === 'settled') {
        await fold()
        expect(await lastUse()).toEqual([[LAST, 'trivy', 'scanner']])
      }
      await erase(stores.database, { origin: rows[0]?.origin })
      expect(await lastUse()).toEqual([[LAST, null, 'scanner']])
      expect(await lastUse({ without_kind: 'scanner' })).toEqual([[FIRST, 'skopeo', 'cli']])
    },
  )
})
