import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { jobStep } from '../../storage/sql/retried-transaction.js'
import { doStep, partOf } from '../../storage/sql/step-sizes.js'
import { readBehaviours } from './read-behaviours.js'
import { readBehavioursInParts, type RollUpDayDeps } from './read-behaviours-in-parts.js'
import { addDayRows } from './day-rows.js'
import { nextRange, wholeDay, type RepositoryDay } from './repository-day.js'
import {
  advanceRollingDay,
  beginRollingDay,
  findRollingDay,
  lockDays,
  lockRollingDay,
  type RollingDay,
} from './rolling-days.js'

/**
 * Rolls up a repository's day, unless the day of its registry is rolled up already. If its week has few outcomes, it takes one
 * transaction. A larger day takes many short transactions, and is resumed after an interruption.
 */
export const rollUpDay = async (deps: RollUpDayDeps, of: RepositoryDay): Promise<void> => {
  const { jobs, most } = deps
  let rolling = await jobStep({ sql: jobs }, async (tx) => beginDay(tx, of, most))
  while (rolling && rolling.stage !== 'done') {
    if (rolling.stage === 'behaviours') await readBehavioursInParts(deps, of, rolling)
    else await rollUpPortion(deps, of, rolling)
    rolling = await findRollingDay(jobs, of)
  }
}

/** @returns undefined if the day is finished: most days are small, and are rolled up here in one transaction */
const beginDay = async (tx: Sql, of: RepositoryDay, most: number): Promise<RollingDay | undefined> => {
  await lockDays(tx)
  const { rows: open } = await sql`
    select 1 from pulls.registries where registry = ${of.registry} and rolled_to <= ${of.day}::date
  `.execute(tx)
  if (open.length === 0) return undefined
  const rolling = await findRollingDay(tx, of)
  if (rolling) return rolling
  const { upTo: beyond } = await nextRange(tx, of, { from: of.lookFrom, after: undefined, most: most + 1 })
  if (beyond) {
    await beginRollingDay(tx, of)
    return findRollingDay(tx, of)
  }
  await readBehaviours(tx, of)
  await sql`delete from pulls.days where ${isOfDay(of)}`.execute(tx)
  await addDayRows(tx, of, wholeDay(of))
  return undefined
}

const rollUpPortion = async (
  { jobs, most, stepSizes }: RollUpDayDeps,
  of: RepositoryDay,
  rolling: RollingDay,
): Promise<void> =>
  doStep(stepSizes, { kind: 'roll up', size: most }, async (divisor) =>
    jobStep({ sql: jobs }, async (tx) => {
      if (!(await lockRollingDay(tx, rolling))) return
      const work = rolling.stage === 'clear' ? clearDay : addPortion
      await advanceRollingDay(tx, await work(tx, of, { rolling, most: partOf(most, divisor) }))
    }),
  )

type Portion = { rolling: RollingDay; most: number }

/** Deletes the rows that an earlier run wrote for the day. */
const clearDay = async (tx: Sql, of: RepositoryDay, { rolling, most }: Portion): Promise<RollingDay> => {
  const deletedFrom = async (table: string): Promise<number> => {
    const { numAffectedRows } = await sql`
      delete from ${sql.table(table)} where ctid = any(array(
        select ctid from ${sql.table(table)} where ${isOfDay(of)} limit ${most}
      ))
    `.execute(tx)
    return Number(numAffectedRows ?? 0)
  }
  const isLeft = (await deletedFrom('pulls.days')) > 0 || (await deletedFrom('pulls.behaviours')) > 0
  return isLeft ? rolling : { ...rolling, stage: 'behaviours' }
}

const addPortion = async (tx: Sql, of: RepositoryDay, { rolling, most }: Portion): Promise<RollingDay> => {
  const range = await nextRange(tx, of, { from: of.start, after: rolling.readTo, most })
  await addDayRows(tx, of, range)
  return range.upTo ? { ...rolling, readTo: range.upTo } : { ...rolling, stage: 'done' }
}

const isOfDay = ({ registry, repository, day }: RepositoryDay): RawBuilder<unknown> =>
  sql`registry = ${registry} and repository = ${repository} and day = ${day}::date`
