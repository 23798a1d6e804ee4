import { sql } from 'kysely'
import { startOfDay } from '../events/calendar.js'
import { eachAlone } from '../storage/each-alone.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import { createAdditions, type CountingDeps } from './additions.js'
import { lockRepositories, markStale } from './first-events.js'
import type { Repositories } from './repositories.js'
import { addTallies, reasonTally } from './tallies.js'
import { replaceInRepositories, REPOSITORIES_PER_TRANSACTION } from './unresolved-in-repositories.js'

const NAMES_AT_ONCE = 500

type ResolveUsersDeps = CountingDeps & {
  repositories: Repositories
  /** The id of a name, or undefined if no user has the name; throws while the user directory is unavailable. */
  idOf: (name: string) => string | undefined | Promise<string | undefined>
  now: () => Date
}

/**
 * Looks up the names that the user directory did not resolve before, and counts their pending contributions. If the contributions of
 * a name cannot be stored, the next names are still processed.
 * @returns the number of resolved names; the other names stay unresolved
 * @throws the errors of the names that could not be stored, at the end
 */
export const resolveUsers = async (deps: ResolveUsersDeps): Promise<number> => {
  const { rows } = await sql<{ name: string }>`
    select name from unresolved_users group by name order by max(asked_at) nulls first, name limit ${NAMES_AT_ONCE}
  `.execute(deps.database.sql)
  let resolved = 0
  let unanswered: string | undefined
  const resolve = async ({ name }: { name: string }): Promise<void> => {
    const answer = await lookUp(deps, name)
    if (!answer) {
      // Only the first such name moves: after a failure the directory pauses, so the later names may not have been looked up at all.
      unanswered ??= name
      return
    }
    await storeOrPostpone(deps, name, answer.id)
    resolved++
  }
  try {
    await eachAlone(rows, resolve, isStorageUnavailable)
  } finally {
    if (unanswered !== undefined) await postpone(deps, unanswered)
    if (resolved > 0) await deps.repositories.rebuildStale()
  }
  return resolved
}

const lookUp = async ({ idOf }: ResolveUsersDeps, name: string): Promise<{ id: string | undefined } | undefined> => {
  try {
    return { id: await idOf(name) }
  } catch {
    return undefined
  }
}

/** Moves a name to the end of the queue, so that the next round begins with other names. */
const postpone = async ({ database, now }: ResolveUsersDeps, name: string): Promise<void> => {
  await sql`update unresolved_users set asked_at = ${now().toISOString()} where name = ${name}`.execute(database.sql)
}

const storeOrPostpone = async (deps: ResolveUsersDeps, name: string, id: string | undefined): Promise<void> => {
  try {
    let isDone = false
    while (!isDone) isDone = await storePortion(deps, name, id)
  } catch (error) {
    // The first error has the reason. If the database is unavailable, this statement fails, too.
    await postpone(deps, name).catch(() => undefined)
    throw error
  }
}

/**
 * Stores what a resolved name counts for. The name stays in the queue until the last portion, so that an interrupted name is
 * continued by a later round.
 * @returns whether no repository contains the name any more, and the name has left the queue
 */
const storePortion = async (
  { database, sketches, rules, lifetimes, now }: ResolveUsersDeps,
  name: string,
  id: string | undefined,
): Promise<boolean> =>
  database.transaction(async (tx) => {
    await lockRepositories(tx)
    const firsts = await replaceInRepositories(tx, name, id)
    await markStale(tx, firsts, rules)
    if (firsts.length === REPOSITORIES_PER_TRANSACTION) return false
    const { rows } = await sql<{ event: string; day: string }>`
      delete from unresolved_users where name = ${name} returning event, day::text
    `.execute(tx)
    if (id === undefined) {
      await addTallies(tx, [{ ...reasonTally('unknown_user', now()), value: rows.length }])
      return true
    }
    const additions = createAdditions(rules, lifetimes)
    for (const { event, day } of rows) additions.add([{ event, member: id }], startOfDay(day) ?? 0)
    await sketches.add(additions.list(), tx)
    return true
  })
