import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { measuresOf, MEASURES } from '../../support/outcome-measures.js'
import type { PullOutcome } from '../../../src/pulls/fold/outcome.js'
import type { ChangedOutcome } from '../../../src/pulls/fold-job/fold-batch.js'
import { saveOutcomes } from '../../../src/pulls/fold-job/save-outcomes.js'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryPulls } from '../../../src/pulls/query/query-pulls.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')
const START = Date.parse('2026-11-01T00:00:00Z') * 1_000
const DAY = 86_400_000_000

const dimensions = fc.record({
  registry: fc.constant('registry.example'),
  repository: fc.constantFrom('a', 'team/b'),
  origin: fc.constantFrom('o1', 'o2', 'o3'),
  at: fc.integer({ min: START, max: START + 14 * DAY }),
  bytes: fc.integer({ min: 0, max: 1_000 }),
})
const count = fc.integer({ min: 0, max: 3 })
const invocation = fc.record({
  what: fc.constant('invocation' as const),
  by: fc.constantFrom('tag' as const, 'digest' as const),
  gets: count,
  images: fc.uniqueArray(fc.constantFrom('sha256:a', 'sha256:b', 'sha256:c')),
  layers: count,
  startsSession: fc.boolean(),
})
const other = fc.record({ what: fc.constantFrom('artifact' as const, 'orphan' as const, 'failure' as const) })

const stored = fc.array(fc.tuple(dimensions, fc.oneof(invocation, other)), { maxLength: 30 }).map((all) =>
  all.map(([where, what], i): ChangedOutcome => ({
    outcome: { id: String(i), tag: 'latest', digest: 'sha256:a', last: where.at, ...where, ...what } as PullOutcome,
    who: JSON.stringify(WHO),
  })),
)
const WHO = {
  endpoint: 'e',
  source: 'notification' as const,
  client: 'containerd',
  kind: 'runtime',
  signedIn: false,
}

describe.each(STORE_PAIRS)('the counted numbers of stored outcomes, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  test('are the sum of what each outcome adds', async () => {
    await fc.assert(
      fc.asyncProperty(stored, fc.integer({ min: 0, max: 15 }), async (outcomes, days) => {
        await stores.clear()
        const showsBlobs = (at: number): boolean => at >= START + days * DAY
        await sql`insert into pulls.registries (registry) values ('registry.example')`.execute(stores.database.sql)
        await saveOutcomes(stores.database.sql, outcomes, { reportsBlobs: showsBlobs, platforms: () => undefined })
        const query = parsePullsQuery({ measures: MEASURES.join(), period: '2026-11' }, NOW)
        const { total } = await queryPulls(stores.database.sql, query, { rotation: 'never', stamps: {} })
        const expected = outcomes.map(({ outcome }) => measuresOf(outcome, showsBlobs(outcome.at)))
        for (const name of MEASURES)
          expect([name, total[name]]).toEqual([name, expected.reduce((sum, one) => sum + one[name], 0)])
      }),
      runsOn(stores.database, { postgresql: 40, pglite: 15 }),
    )
  })
})
