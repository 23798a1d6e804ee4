import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { foldDays } from '../../../src/pulls/day-fold/fold-days.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import type { Erasure } from '../../../src/pulls/erasures/noted-erasures.js'
import { erase, finishErasures } from '../../../src/pulls/roll-up/erase.js'
import { failAt } from '../../servers/fail-at.js'
import { runsOn } from '../../servers/runs.js'
import { seeing } from '../../servers/seen-statements.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import {
  expectedOutcomes,
  fileRequests,
  importedTexts,
  importRequests,
  ORIGINS,
  REPOSITORIES,
  storedOutcomes,
} from '../../support/file-requests.js'
import type { FileRequest } from '../../support/segments.js'

const [REGISTRY, OTHER] = ['registry.example', 'other.example']

const erasures = fc
  .record(
    {
      origin: fc.constantFrom(...ORIGINS),
      repository: fc.constantFrom(...REPOSITORIES),
      registries: fc.constant([REGISTRY]),
    },
    { requiredKeys: [] },
  )
  .filter(({ origin, repository }) => origin !== undefined || repository !== undefined)

const concerns = ({ repository, registries }: Erasure, one: FileRequest): boolean =>
  (repository === undefined || one.repository === repository) && registries?.includes(one.registry) !== false

/** The requests as if the erased ones had never been sent. */
const without = (requests: readonly FileRequest[], erasure: Erasure): FileRequest[] =>
  requests.flatMap((one) => {
    if (!concerns(erasure, one)) return [one]
    if (erasure.origin === undefined || one.origin === erasure.origin) return []
    const { previous, ...rest } = one
    return [previous === erasure.origin ? rest : one]
  })

describe.each(STORE_PAIRS)('the erasure of imported requests, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const foldAll = async (): Promise<void> => foldDays({ database: stores.database, windows: WINDOWS })
  const expectErased = async (requests: readonly FileRequest[], erasure: Erasure): Promise<void> => {
    const rest = without(requests, erasure)
    await foldAll()
    expect(await storedOutcomes(stores.database)).toEqual(expectedOutcomes(rest))
    const { origin, repository, registries } = erasure
    const texts = await importedTexts(stores.database)
    if (registries === undefined && origin === undefined) expect(texts).not.toContain(repository)
    if (registries === undefined && repository === undefined) expect(texts).not.toContain(origin)
    if (origin === undefined) {
      const isErased = ({ repository: own, registry }: { repository: string; registry: string }): boolean =>
        own === repository && registries?.includes(registry) !== false
      const { rows } = await sql<{ registry: string; repository: string; invocations: string }>`
        select registry, repository, invocations::text from pulls.totals where invocations > 0
      `.execute(stores.database.sql)
      const { rows: counted } = await sql`
        select registry, repository, count(*)::text as invocations from pulls.outcomes where what = 'invocation'
        group by registry, repository
      `.execute(stores.database.sql)
      expect(new Set(rows)).toEqual(new Set(counted))
      expect(rows.filter(isErased)).toEqual([])
    }
  }

  test('leaves what the fold of the other requests gives, also if it is interrupted at any statement', async () => {
    await fc.assert(
      fc.asyncProperty(
        fileRequests([REGISTRY, REGISTRY, OTHER]),
        erasures,
        fc.record({ isFolded: fc.boolean(), hasRest: fc.boolean(), at: fc.integer({ min: 2, max: 60 }) }),
        async (requests, erasure, { isFolded, hasRest, at }) => {
          await stores.clear()
          await importRequests(stores.database, requests.slice(0, 9))
          if (isFolded) await foldAll()
          if (hasRest) await importRequests(stores.database, requests.slice(9))
          await erase(failAt(stores.database, at), erasure).catch(() => undefined)
          if (at % 2 === 0) await foldAll()
          await finishErasures(stores.database, 0)
          await expectErased(hasRest ? requests : requests.slice(0, 9), erasure)
        },
      ),
      runsOn(stores.database, { postgresql: 30, pglite: 6 }),
    )
  })

  test('is complete although other requests are imported and folded meanwhile', async () => {
    await fc.assert(
      fc.asyncProperty(
        fileRequests([REGISTRY, OTHER]),
        erasures,
        fc.integer({ min: 2, max: 40 }),
        async (requests, erasure, at) => {
          await stores.clear()
          await importRequests(stores.database, requests.slice(0, 12))
          await foldAll()
          let statements = 0
          // The erasure is noted by its first statement, and its note is removed by the last one.
          const jobs = seeing(stores.database.jobs, async (execute, text) => {
            if (
              ++statements === at ||
              (statements > 1 && statements < at && text.includes('delete from pulls.erasures'))
            ) {
              statements = at
              await importRequests(stores.database, requests.slice(12))
              if (at % 2 === 0) await foldAll()
            }
            return execute()
          })
          await erase({ ...stores.database, jobs }, erasure)
          expect(statements).toBeGreaterThanOrEqual(at)
          await expectErased(requests, erasure)
        },
      ),
      runsOn(stores.database, { postgresql: 30, pglite: 6 }),
    )
  })

  test('counts what it erased, and erases names of files that contain the repository', async () => {
    const [requests = []] = fc.sample(fileRequests([REGISTRY]), { numRuns: 1, seed: 7 })
    const erased = requests.filter(({ repository }) => repository === 'team/app').length
    await importRequests(stores.database, requests)
    const names = ['/logs/team/app.log', '/logs/team/app2.log', '/logs/steam/app.log', 'team/app']
    await sql`
      insert into logs.files (registry, format, name, head_lines, chain, lines, counts, loaded_at)
      select ${REGISTRY}, 'combined', name, 1, '', 1, '{}', now() from unnest(${names}::text[]) as names (name)
    `.execute(stores.database.sql)
    expect(await erase(stores.database, { repository: 'team/app' })).toMatchObject({ imported_requests: erased })
    const { rows } = await sql<{ name: string }>`select name from logs.files order by number`.execute(
      stores.database.sql,
    )
    expect(rows.map(({ name }) => name)).toEqual(['(erased)', names[1], names[2], '(erased)'])
  })
})
