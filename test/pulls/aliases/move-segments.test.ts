import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { foldDays } from '../../../src/pulls/day-fold/fold-days.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { moveAliases } from '../../../src/pulls/aliases/move-aliases.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { failAt } from '../../servers/fail-at.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { expectedOutcomes, fileRequests, importRequests, storedOutcomes } from '../../support/file-requests.js'

const ALIAS = 'alias.example'
const NAME = 'registry.example'
const OTHER = 'another.example'

describe.each(STORE_PAIRS)('imported requests under an alias, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const foldAll = async (): Promise<void> => foldDays({ database: stores.database, windows: WINDOWS })
  const rolled = async (): Promise<void> => rollUp({ database: stores.database, windows: WINDOWS })
  const moved = async (database = stores.database, most = 10_000): Promise<void> =>
    moveAliases({ database, windows: WINDOWS, most }, new Map([[ALIAS, NAME]]))
  const rowsOfAlias = async (): Promise<unknown> => {
    const { rows } = await sql`
      select t.name, count(*)::int as rows from (
        select 'segments' as name, registry from pulls.segments union all select 'segment_days', registry from pulls.segment_days
        union all select 'outcomes', registry from pulls.outcomes union all select 'totals', registry from pulls.totals
        union all select 'days', registry from pulls.days union all select 'registries', registry from pulls.registries
        union all select 'files', registry from logs.files
      ) t where registry = ${ALIAS} group by 1
    `.execute(stores.database.sql)
    return rows
  }
  const countedTwice = async (): Promise<unknown> => {
    const { rows } = await sql`
      select id from pulls.outcomes where registry = any(${[ALIAS, NAME]}::text[]) group by id having count(*) > 1
    `.execute(stores.database.sql)
    return rows
  }
  const addFile = async (number: number, registry: string, chain: string): Promise<void> => {
    await sql`
      insert into logs.files (number, registry, format, name, head_lines, chain, lines, counts, loaded_at)
      overriding system value
      values (${number}, ${registry}, 'combined', 'access.log', 1, ${Buffer.from(chain)}, 9, '{}', '2026-11-21')
    `.execute(stores.database.sql)
  }

  const steps = fc.record({
    most: fc.constantFrom(1, 2, 10_000),
    at: fc.integer({ min: 1, max: 120 }),
    between: fc.array(fc.constantFrom('fold', 'roll up', 'move'), { maxLength: 4 }),
    then: fc.array(fc.constantFrom('fold', 'roll up', 'import'), { maxLength: 3 }),
  })

  test('have the outcomes that all requests have under the name, although a move is interrupted', async () => {
    await fc.assert(
      fc.asyncProperty(fileRequests([ALIAS, NAME, OTHER]), steps, async (all, { most, at, between, then }) => {
        await stores.clear()
        await importRequests(stores.database, all.slice(0, 8))
        let imported = 8
        for (const step of between) {
          if (step === 'fold') await foldAll()
          if (step === 'roll up') await rolled()
          if (step === 'move') await moved(failAt(stores.database, at), most).catch(() => undefined)
        }
        await importRequests(stores.database, all.slice(imported, (imported += 8)))
        await moved(failAt(stores.database, at), most).catch(() => undefined)
        for (const step of then) {
          if (step === 'fold') await foldAll()
          if (step === 'roll up') await rolled()
          if (step === 'import') await importRequests(stores.database, all.slice(imported, (imported += 4)))
          expect(await countedTwice()).toEqual([])
        }
        // The requests of one name may have to be folded and rolled up first.
        for (let times = 0; times < 3; times++) {
          await moved(stores.database, most)
          await foldAll()
        }
        const under = all.slice(0, imported).map((one) => (one.registry === ALIAS ? { ...one, registry: NAME } : one))
        expect(await storedOutcomes(stores.database)).toEqual(expectedOutcomes(under))
        expect(await rowsOfAlias()).toEqual([])
      }),
      runsOn(stores.database, { postgresql: 40, pglite: 8 }),
    )
  })

  test('of a file that was imported under both names are counted once', async () => {
    const [all = []] = fc.sample(fileRequests([ALIAS]), { numRuns: 1, seed: 7 })
    const own = all.map((one) => ({ ...one, mayRepeat: false, registry: NAME }))
    await addFile(1, ALIAS, 'lines')
    await addFile(2, NAME, 'lines')
    await addFile(3, ALIAS, 'other lines')
    await importRequests(
      stores.database,
      own.map((one) => ({ ...one, registry: ALIAS })),
      '1',
    )
    await importRequests(stores.database, own, '2')
    await foldAll()
    await moved()
    await foldAll()
    expect(await storedOutcomes(stores.database)).toEqual(expectedOutcomes(own))
    const { rows } = await sql`select number::int, registry from logs.files order by number`.execute(
      stores.database.sql,
    )
    expect(rows).toEqual([
      { number: 2, registry: NAME },
      { number: 3, registry: NAME },
    ])
    expect(await rowsOfAlias()).toEqual([])
  })
})
