import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { listedPlatforms } from '../../src/inventory/questions/manifest-contents.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { noting } from '../servers/explained-rows.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

describe.each(STORE_PAIRS)('platforms of what indexes list, on %s', (_, open) => {
  let stores: TestStores
  let id = 0
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const listing = async (registry: string, names: readonly string[]): Promise<void> => {
    const platform = { os: 'linux', architecture: 'amd64' }
    const references = [{ digest: digestOf('image'), mediaType: OCI_IMAGE, size: 20, platform }]
    await createCounting(stores, () => new Date('2026-11-21T12:00:00Z')).ingest(
      names.map((name) =>
        anEvent({
          ...{ id: ++id, registry, object: 'manifest', digest: digestOf(name) },
          ...{ mediaType: OCI_INDEX, size: 500, references },
        }),
      ),
    )
  }
  const wanted = ['image', ...Array.from({ length: 50 }, (_one, i) => `o${i}`)].map((name) => ({
    repository: 'team/app',
    digest: digestOf(name),
  }))

  test('are read from a bounded number of entries, whatever other registries list', async () => {
    const read: number[] = []
    for (const count of [400, 1_600]) {
      await stores.clear()
      await listing('registry.example', ['own'])
      await listing(
        'other.example',
        Array.from({ length: count }, (_one, i) => `o${i}`),
      )
      await sql`analyze`.execute(stores.database.sql)
      const rows: number[] = []
      await listedPlatforms(noting(stores.database.sql, rows, { withRemoved: true }), 'registry.example', wanted)
      read.push(...rows)
    }
    const [few = NaN, many = NaN] = read
    expect(many).toBeLessThan(few * 1.3)
  })

  test('come from an index of the repository', async () => {
    await listing('registry.example', ['own'])
    await listing('other.example', ['o0', 'o1'])
    expect(await listedPlatforms(stores.database.sql, 'registry.example', wanted)).toEqual([
      { ...wanted[0], platform: 'linux/amd64' },
    ])
  })
})
