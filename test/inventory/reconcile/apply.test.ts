import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { ask, type Item } from '../../../src/inventory/questions/ask.js'
import { QUESTIONS } from '../../../src/inventory/questions/questions.js'
import { reconcile } from '../../../src/inventory/reconcile/reconcile.js'
import type { ReconciliationReport } from '../../../src/inventory/reconcile/reports.js'
import type { Database } from '../../../src/storage/sql/database.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { liveIn } from '../../servers/inventory.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { digestNamed, imageNamed, put, stubRegistry, type StubRegistry } from '../../servers/stub-registry.js'
import { heardAt } from '../../servers/heard.js'

const REGISTRY = 'registry.example'
const NOW = '2026-11-18T11:00:00Z'

describe.each(STORE_PAIRS)('a repair on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  const repair = async (client: StubRegistry, now = NOW, database = stores.database): Promise<ReconciliationReport> =>
    reconcile(
      { database, client, now: () => new Date(now), toleranceMs: 0 },
      { registry: REGISTRY, apply: true, rate: 1_000_000 },
    )

  /** The database, with something that happens before each transaction. */
  const before = (happens: () => Promise<void>): Database => ({
    ...stores.database,
    transaction: async (work) => {
      await happens()
      return stores.database.transaction(work)
    },
  })

  const large = (): StubRegistry => {
    const registry = stubRegistry(1_000)
    for (let i = 1; i <= 450; i++) put(registry.repository('team/app'), imageNamed(`a${i}`, [`b${i}`, 'c1']), `v${i}`)
    return registry
  }

  test('of a large repository leaves room for events between its parts', async () => {
    const { ingest } = createCounting(stores)
    let events = 0
    const database = before(async () => {
      const target = {
        repository: 'team/app',
        tag: `new${++events}`,
        digest: digestNamed('f1'),
        object: 'manifest',
      } as const
      await ingest([anEvent({ id: events, ...target, mediaType: 'x/y', at: NOW })])
    })
    expect((await repair(large(), NOW, database)).failed).toBe(0)
    expect(events).toBeGreaterThanOrEqual(6)
    const recorded = (await liveIn(stores.database, REGISTRY))['team/app']
    expect(recorded?.blobs).toHaveLength(451)
    expect(Object.keys(recorded?.tags ?? {})).toHaveLength(450 + events)
  })

  test('that was interrupted between two chunks is repeated, and a conflict does not end it', async () => {
    let transactions = 0
    const broken = before(async () => {
      transactions++
      if (transactions === 2) throw Object.assign(new Error('deadlock detected'), { code: '40P01' })
      return transactions === 4 ? Promise.reject(new Error('the disk is full')) : Promise.resolve()
    })
    const registry = large()
    expect((await repair(registry, NOW, broken)).failures).toEqual([
      { repository: 'team/app', error: 'the disk is full' },
    ])
    expect((await repair(registry, '2026-11-18T12:00:00Z')).failed).toBe(0)
    const again = await repair(registry, '2026-11-18T13:00:00Z')
    expect(again.drift).toEqual({ missing: 0, stale: 0, different: 0 })
  })

  test('ends where a move begins, and deletes nothing of what is at the other path', async () => {
    await createCounting(stores).ingest([
      anEvent({
        ...{ id: 1, repository: 'team/app', object: 'manifest', tag: 'old', digest: digestNamed('a1') },
        at: NOW,
      }),
    ])
    let transactions = 0
    const moved = before(async () => {
      transactions++
      if (transactions > 1) return
      await sql`
        insert into inventory.renames (event_id, registry, what, from_name, to_name, at)
        values ('10000000-0000-4000-8000-000000000001', ${REGISTRY}, 'namespace', 'team', 'crew', ${NOW})
      `.execute(stores.database.sql)
    })
    const registry = stubRegistry()
    registry.repository('team/app')
    const { failures } = await repair(registry, '2026-11-18T13:00:00Z', moved)
    expect(failures).toEqual([
      { repository: 'team/app', error: 'team/app is being moved in the inventory; a later run compares it' },
    ])
    expect((await liveIn(stores.database, REGISTRY))['team/app']?.tags).toEqual({ old: digestNamed('a1') })
  })

  test('does not use what it finds', async () => {
    const registry = stubRegistry()
    const [old, alone] = [imageNamed('a1', ['b1']), imageNamed('a2', ['b1'])]
    put(registry.repository('team/app'), old, 'old')
    put(registry.repository('team/app'), alone, 'unknown')
    const target = { repository: 'team/app', tag: 'old', digest: old.digest, mediaType: old.mediaType } as const
    await createCounting(stores).ingest([anEvent({ id: 1, ...target, object: 'manifest', at: '2026-01-02T10:00:00Z' })])
    const asked = async (question: string, parameters: object, now: string): Promise<Item[]> => {
      const found = QUESTIONS.find(({ name }) => name === question)
      await heardAt(stores.database.sql, new Date(now))
      return found ? (await ask(stores.database.sql, found, parameters, new Date(now))).items : []
    }
    const used = { tag: 'old', used_at: '2026-01-02T10:00:00.000000Z' }
    expect(await asked('unused-images', { unused_for: '90d' }, NOW)).toMatchObject([used])
    await repair(registry)
    await repair(registry, '2026-11-20T11:00:00Z')
    expect(await asked('unused-images', { unused_for: '90d' }, '2026-11-21T00:00:00Z')).toMatchObject([used])
    expect(await asked('blobs', { digest: digestNamed('b1') }, NOW)).toHaveLength(1)
    expect(await asked('manifests', {}, NOW)).toMatchObject([{ used_at: used.used_at }, { used_at: null }])

    // What was found then was not used in all that time.
    const later = await asked('unused-images', { unused_for: '90d' }, '2027-06-01T00:00:00Z')
    expect(later).toMatchObject([used, { tag: 'unknown', used_at: '2026-11-18T11:00:00.000000Z' }])
  })
})
