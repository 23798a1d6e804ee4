import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { WINDOWS } from '../../../src/pulls/fold/windows.js'
import { erase } from '../../../src/pulls/jobs/erase.js'
import { foldPending } from '../../../src/pulls/jobs/fold-pending.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const START = Date.parse('2026-11-18T12:00:00Z')
const digest = (name: string): string => `sha256:${name.repeat(64)}`

describe.each(STORE_PAIRS)('the erasure of a repository, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const on = (minute: number, event: Parameters<typeof anEvent>[0]): RegistryEvent =>
    anEvent({
      ...{ id: minute, at: new Date(START + minute * 60_000).toISOString(), object: 'manifest', repository: 'a' },
      ...{ mediaType: 'application/vnd.oci.image.manifest.v1+json', address: '192.0.2.1' },
      ...event,
    })
  const references = async (repository: string): Promise<string[]> => {
    const { rows } = await sql<{ reference: string }>`
      select reference from pulls.last_uses where repository = ${repository} order by reference
    `.execute(stores.database.sql)
    return rows.map(({ reference }) => reference)
  }

  test('erases when it was used, except what the registry still has: a clean-up would take that for unused', async () => {
    const image = { tag: '1.0', digest: digest('a') }
    const gone = { tag: '2.0', digest: digest('b') }
    await createCounting(stores).ingest([
      on(1, { action: 'push', ...image }),
      on(2, { action: 'push', ...gone }),
      on(20, { action: 'pull', method: 'GET', ...image }),
      on(21, { action: 'pull', method: 'GET', ...gone }),
      on(22, { action: 'pull', method: 'GET', ...gone, repository: 'b' }),
      on(23, { action: 'delete', digest: gone.digest }),
    ])
    for (const minute of [30, 60])
      await foldPending({
        database: stores.database,
        windows: WINDOWS,
        lateness: 1,
        now: () => new Date(START + minute * 60_000),
        onFolded: async () => Promise.resolve(),
      })
    const all = ['1.0', '2.0', digest('a'), digest('b')]
    expect(await references('a')).toEqual(all)
    await erase(stores.database, { repository: 'a', origin: 'somebody' })
    expect(await references('a')).toEqual(all)
    await erase(stores.database, { repository: 'a' })
    expect(await references('a')).toEqual(['1.0', digest('a')])
    await erase(stores.database, { repository: 'b', registries: ['another.example'] })
    expect(await references('b')).toEqual(['2.0', digest('b')])
    await sql`delete from inventory.tags`.execute(stores.database.sql)
    await sql`update inventory.repository_manifests set deleted_at = now()`.execute(stores.database.sql)
    await erase(stores.database, { repository: 'a' })
    await erase(stores.database, { repository: 'b' })
    expect([await references('a'), await references('b')]).toEqual([[], []])
  })
})
