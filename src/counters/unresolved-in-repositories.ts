import { sql } from 'kysely'
import type { Sql } from '../storage/sql/database.js'
import { epochMicros } from '../storage/sql/moments.js'
import { unresolvedMember, type Contribution } from './contributions.js'
import type { FirstEvent } from './first-events.js'

/** Repositories changed in one transaction. First events of new repositories wait for the lock of that transaction. */
export const REPOSITORIES_PER_TRANSACTION = 1_000

/**
 * Whether the contributions of a repository contain an unresolved user, and the members that are unresolved. PostgreSQL uses the
 * indexes of migration 0059 only if a statement contains these expressions with the same text.
 */
export const HAS_UNRESOLVED = sql`
  (if_first @? '$[*].member ? (@ starts with "?")' or if_known @? '$[*].member ? (@ starts with "?")')`
const UNRESOLVED_MEMBERS = sql`
  jsonb_path_query_array(if_first || if_known, '$[*].member ? (@ starts with "?")')`

/**
 * Replaces the name by the id in the contributions of first events; without an id it removes these contributions.
 * @returns the changed first events, at most REPOSITORIES_PER_TRANSACTION
 */
export const replaceInRepositories = async (
  tx: Sql,
  name: string,
  id: string | undefined,
): Promise<Pick<FirstEvent, 'at' | 'ifFirst'>[]> => {
  const replaced = (contributions: Contribution[]): Contribution[] =>
    contributions.flatMap((contribution) => {
      if (contribution.member !== unresolvedMember(name)) return contribution
      return id === undefined ? [] : { ...contribution, member: id }
    })
  const rows = (await readRepositories(tx, name)).map((row) => ({
    ...row,
    ifFirst: replaced(row.if_first),
    ifKnown: replaced(row.if_known),
  }))
  if (rows.length === 0) return []
  await sql`
    update repositories stored set if_first = resolved.if_first, if_known = resolved.if_known
    from unnest(
      ${rows.map(({ registry }) => registry)}::text[],
      ${rows.map((row) => row.name)}::text[],
      ${rows.map(({ ifFirst }) => JSON.stringify(ifFirst))}::jsonb[],
      ${rows.map(({ ifKnown }) => JSON.stringify(ifKnown))}::jsonb[]
    ) as resolved (registry, name, if_first, if_known)
    where stored.registry = resolved.registry and stored.name = resolved.name
  `.execute(tx)
  return rows.map(({ at, ifFirst }) => ({ at: Number(at), ifFirst }))
}

type StoredContributions = {
  registry: string
  name: string
  at: string
  if_first: Contribution[]
  if_known: Contribution[]
}

/** Reads repositories whose contributions contain a name, by index: no other repository is read. */
const readRepositories = async (tx: Sql, name: string): Promise<StoredContributions[]> => {
  const { rows } = await sql<StoredContributions>`
    select registry, name, ${epochMicros(sql`first_at`)} as at, if_first, if_known
    from repositories
    where ${HAS_UNRESOLVED} and ${UNRESOLVED_MEMBERS} @> ${JSON.stringify([unresolvedMember(name)])}::jsonb
    limit ${REPOSITORIES_PER_TRANSACTION} for update
  `.execute(tx)
  return rows
}
