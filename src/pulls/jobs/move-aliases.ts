import { sql } from 'kysely'
import { eachAlone } from '../../storage/each-alone.js'
import type { Database } from '../../storage/database.js'
import { jobStep, type Step } from '../../storage/job-step.js'
import type { Windows } from '../fold/windows.js'
import type { Move } from './both-registries.js'
import { daysToMove, moveDay } from './move-days.js'
import { moveLive } from './move-live.js'
import { dropRegistry, forgetSummariesOf, moveRequests } from './move-rest.js'
import { rollUp } from './roll-up.js'

type Needs = { database: Database; windows: Windows }

/**
 * Gives registries the pulls that were recorded under one of their aliases: before it was configured, or by a process that did
 * not know of it yet. It goes in steps, each a transaction of its own, between which every pull is told once; doing it again
 * finishes what broke off.
 * @param aliases each with the name of its registry.
 * @throws AggregateError when registries failed; the others were moved.
 */
export const moveAliases = async (needs: Needs, aliases: ReadonlyMap<string, string>): Promise<void> => {
  const { rows } = await sql<Move>`
    select alias as from, name as to
    from unnest(${[...aliases.keys()]}::text[], ${[...aliases.values()]}::text[]) as aliases (alias, name)
    where exists (select from pulls.registries where registry = alias)
      or exists (select from pulls.pending where registry = alias)
    order by alias
  `.execute(needs.database.sql)
  await eachAlone(rows, async (move) => moveRegistry(needs, move))
}

const moveRegistry = async ({ database, windows }: Needs, move: Move): Promise<void> => {
  const { jobs } = database
  const step = async <T>(work: (tx: Step) => Promise<T>): Promise<T> => jobStep({ sql: jobs }, work)
  const live = async (): Promise<boolean> => step(async (tx) => moveLive(tx, move, windows))
  if (!(await live())) {
    await rollUp({ database, windows })
    // What is to be folded first is, by the time of another run.
    if (!(await live())) return
  }
  for (const day of await daysToMove(jobs, move)) await step(async (tx) => moveDay(tx, move, day))
  const last = await moveRequests(jobs, move)
  await forgetSummariesOf(jobs, move)
  await step(async (tx) => dropRegistry(tx, move, last))
}
