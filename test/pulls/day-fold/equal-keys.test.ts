import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RepositoryPath, Tag } from '../../../src/events/reference.js'
import { foldDays } from '../../../src/pulls/day-fold/fold-days.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { keepSegments } from '../../../src/pulls/segments/segment-table.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { segmentOf, type FileRequest } from '../../support/segments.js'

const NOW = new Date('2026-11-21T12:00:00Z')
const REGISTRY = 'registry.example'
const DAY = '2026-11-11'
const [ID, OTHER_ID] = ['0000000000000001', '0000000000000002']
const WHO = JSON.stringify({ endpoint: 'e', source: 'access_log', client: 'docker', kind: 'runtime', signedIn: false })

const requestOf = (origin: string, id: string): FileRequest => ({
  ...{ origin, id, registry: REGISTRY, who: WHO, mayRepeat: true },
  ...{ at: Date.parse(`${DAY}T10:00:00Z`) * 1_000, object: 'manifest', method: 'GET', status: 200 },
  ...{ repository: 'team/app' as RepositoryPath, tag: 'latest' as Tag },
})

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => {
    await stores.close()
  })
  beforeEach(async () => {
    await stores.clear()
  })

  const foldOf = async (requests: readonly FileRequest[], mostRows: number): Promise<unknown[]> => {
    const segments = [{ registry: REGISTRY, day: DAY, segment: segmentOf(requests) }]
    const { database } = stores
    await database.sql.transaction().execute(async (tx) => keepSegments(tx, { file: '1', segments, now: NOW }))
    await foldDays({ database, windows: WINDOWS, partitions: { mostRows, seed: 1 } })
    const { rows } = await sql`
      select o.id, o.origin, t.invocations, t.pulls from pulls.outcomes o join pulls.totals t using (registry, repository)
      order by o.id
    `.execute(database.sql)
    return rows
  }

  test.each([1, 1_000])(
    'two lines with one hash are one outcome, with up to %i requests in a part',
    async (mostRows) => {
      const [one, two, other] = [requestOf('one', ID), requestOf('two', ID), requestOf('three', OTHER_ID)]
      const numbers = { invocations: '2', pulls: '2' }
      expect(await foldOf([two, one, other], mostRows)).toEqual([
        { id: ID, origin: 'one', ...numbers },
        { id: OTHER_ID, origin: 'three', ...numbers },
      ])
    },
  )
})
