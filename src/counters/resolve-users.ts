import { sql } from 'kysely'
import { startOfDay } from '../events/calendar.js'
import type { Sql } from '../storage/sql/database.js'
import { epochMicros } from '../storage/sql/moments.js'
import { createAdditions, type CountingDeps } from './additions.js'
import { unresolvedMember, type Contribution } from './contributions.js'
import { lockRepositories, markStale, type FirstEvent } from './first-events.js'
import type { Repositories } from './repositories.js'
import { addTallies, reasonTally } from './tallies.js'

const NAMES_AT_ONCE = 500

type ResolveUsersDeps = CountingDeps & {
  repositories: Repositories
  /** The id of a name, or undefined if no user has the name; throws while the user directory is unavailable. */
  idOf: (name: string) => string | undefined | Promise<string | undefined>
  now: () => Date
}

/**
 * Looks up the names that the user directory did not resolve before, and counts their pending contributions.
 * @returns the number of resolved names; the other names stay unresolved
 */
export const resolveUsers = async (deps: ResolveUsersDeps): Promise<number> => {
  const { rows } = await sql<{ name: string }>`
    select name from unresolved_users group by name order by max(asked_at) nulls first, name limit ${NAMES_AT_ONCE}
  `.execute(deps.database.sql)
  let resolved = 0
  let failed: string | undefined
  for (const { name } of rows) {
    const answer = await lookUp(deps, name)
    if (!answer) {
      failed ??= name
      continue
    }
    await storeResolved(deps, name, answer.id)
    resolved++
  }
  if (failed !== undefined) await noteFailedLookup(deps, failed)
  if (resolved > 0) await deps.repositories.rebuildStale()
  return resolved
}

const lookUp = async ({ idOf }: ResolveUsersDeps, name: string): Promise<{ id: string | undefined } | undefined> => {
  try {
    return { id: await idOf(name) }
  } catch {
    return undefined
  }
}

/**
 * Moves a name to the end of the queue, so that the next round begins with other names. Only the first failed name of a round
 * moves: after a failure the directory pauses, so the later names may not have been looked up at all.
 */
const noteFailedLookup = async ({ database, now }: ResolveUsersDeps, name: string): Promise<void> => {
  await sql`update unresolved_users set asked_at = ${now().toISOString()} where name = ${name}`.execute(database.sql)
}

const storeResolved = async (
  { database, sketches, rules, lifetimes, now }: ResolveUsersDeps,
  name: string,
  id: string | undefined,
): Promise<void> =>
  database.transaction(async (tx) => {
    await lockRepositories(tx)
    await markStale(tx, await nameInRepositories(tx, name, id), rules)
    const { rows } = await sql<{ event: string; day: string }>`
      delete from unresolved_users where name = ${name} returning event, day::text
    `.execute(tx)
    if (id === undefined) {
      await addTallies(tx, [{ ...reasonTally('unknown_user', now()), value: rows.length }])
      return
    }
    const additions = createAdditions(rules, lifetimes)
    for (const { event, day } of rows) additions.add([{ event, member: id }], startOfDay(day) ?? 0)
    await sketches.add(additions.list(), tx)
  })

/** Replaces the name by the id in the contributions of first events; without an id it removes these contributions. */
const nameInRepositories = async (
  tx: Sql,
  name: string,
  id: string | undefined,
): Promise<Pick<FirstEvent, 'at' | 'ifFirst'>[]> => {
  const waiting = JSON.stringify([{ member: unresolvedMember(name) }])
  const { rows } = await sql<{
    registry: string
    name: string
    at: string
    if_first: Contribution[]
    if_known: Contribution[]
  }>`
    select registry, name, ${epochMicros(sql`first_at`)} as at, if_first, if_known
    from repositories where if_first @> ${waiting}::jsonb or if_known @> ${waiting}::jsonb for update
  `.execute(tx)
  const named = (contributions: Contribution[]): Contribution[] =>
    contributions.flatMap((contribution) => {
      if (contribution.member !== unresolvedMember(name)) return contribution
      return id === undefined ? [] : { ...contribution, member: id }
    })
  for (const row of rows) {
    await sql`
      update repositories
      set if_first = ${JSON.stringify(named(row.if_first))}::jsonb, if_known = ${JSON.stringify(named(row.if_known))}::jsonb
      where registry = ${row.registry} and name = ${row.name}
    `.execute(tx)
  }
  return rows.map((row) => ({ at: Number(row.at), ifFirst: named(row.if_first) }))
}
