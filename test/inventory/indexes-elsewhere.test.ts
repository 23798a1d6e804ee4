import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createAsking, type Wanted } from '../servers/asking.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const CONFIG = 'application/vnd.oci.image.config.v1+json'

const pushed = (repository: string): Wanted[] => [
  {
    ...{ repository, digest: digestOf('a'), mediaType: OCI_IMAGE },
    references: [{ digest: digestOf('c'), mediaType: CONFIG, size: 3 }],
  },
  {
    ...{ repository, digest: digestOf('b'), mediaType: OCI_INDEX, tag: 'v1' },
    references: [{ digest: digestOf('a'), mediaType: OCI_IMAGE, size: 5 }],
  },
]

describe.each(STORE_PAIRS)('an index that was deleted in one repository and lives in another, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  test('leads to its images in the other one alone', async () => {
    const asking = createAsking(stores, NOW)
    const deleted: Wanted = { action: 'delete', digest: digestOf('b'), repository: 'dev', at: '2026-02-01T00:00:00Z' }
    const events = [...pushed('dev'), ...pushed('prod'), deleted].map((one, i) =>
      anEvent({ id: i + 1, object: 'manifest', size: 5, at: '2026-01-01T00:00:00Z', ...one }),
    )
    await createCounting(stores, () => NOW).ingest(events)
    await asking.summary()
    const items = await asking.items('untagged-manifests')
    expect(items.map(({ repository }) => repository)).toEqual(['dev'])
  })
})
