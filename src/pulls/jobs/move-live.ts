import { sql, type RawBuilder } from 'kysely'
import { MICROS_PER_SECOND } from '../../events/calendar.js'
import type { Sql } from '../../storage/database.js'
import type { Windows } from '../fold/windows.js'
import { NEWEST_DAYS } from '../read/outcomes.js'
import { lockBoth, type Move } from './both-registries.js'
import { keepNewest } from './last-uses.js'
import { moveChains } from './move-chains.js'
import { restartProvisional } from './provisional-run.js'
import { settledAfter } from './roll-up.js'

/**
 * Moves what is not over: requests that wait, chains, outcomes of days that are not rolled up, and totals. The fold goes on with
 * them as if they had been recorded under the name.
 * @returns false as long as one of both has yet to fold, or to roll up, what the other has rolled up.
 */
export const moveLive = async (tx: Sql, move: Move, windows: Windows): Promise<boolean> => {
  const { from, to } = move
  await lockBoth(tx, move)
  const { border, foldedTo, isRolled, isFolded } = await jointOf(tx, move, windows)
  if (!isRolled) await letRollUp(tx, move)
  if (!isRolled || !isFolded) return false
  await sql`update pulls.pending set registry = ${to} where registry = ${from}`.execute(tx)
  await restartProvisional(tx)
  await moveChains(tx, move, windows)
  await sql`
    update pulls.outcomes set registry = ${to}
    where registry = ${from} and at >= ${start(sql`${border}::date`)}
  `.execute(tx)
  await dropUnfinished(tx, move, border)
  await copyNewestReadings(tx, move, border)
  await moveTotals(tx, move)
  await moveLastUses(tx, move)
  await sql`
    update pulls.registries n
    set folded_to = ${foldedTo}::timestamptz, rolled_to = ${border}::date,
      newest_at = greatest(n.newest_at, a.newest_at), newest_since = greatest(n.newest_since, a.newest_since),
      blobs_at = greatest(n.blobs_at, a.blobs_at), kept_from = greatest(n.kept_from, a.kept_from)
    from pulls.registries a where n.registry = ${to} and a.registry = ${from}
  `.execute(tx)
  return true
}

/** What both are as one. */
type Joint = {
  /** The first day that is not rolled up. */
  border: string
  /** Whether neither has an outcome of a day before it that is not rolled up. */
  isRolled: boolean
  /** Up to when both were folded, as far as nothing of before waits: nothing that waits becomes late. */
  foldedTo: string
  /** Whether nothing that waits can change a day before the border. */
  isFolded: boolean
}

const both = ({ from, to }: Move): RawBuilder<unknown> => sql`registry = any(${[from, to]}::text[])`

/** Outcomes are looked for in the order of their key: that there is none takes no longer than that there is one. */
const jointOf = async (tx: Sql, move: Move, windows: Windows): Promise<Joint> => {
  const settled = sql`${settledAfter(windows) / MICROS_PER_SECOND} * interval '1 second'`
  const { rows } = await sql<Joint>`
    with two as (select * from pulls.registries where ${both(move)}),
    latest as (select max(rolled_to) as border, max(folded_to) as folded_to from two),
    waiting as (
      select min(p.at) as at from two cross join lateral (
        select min(at) as at from pulls.pending where registry = two.registry and at > two.folded_to
      ) p
    ),
    joint as (
      select border, least(folded_to, waiting.at - interval '1 microsecond') as folded_to from latest cross join waiting
    )
    select border::text, folded_to::text as "foldedTo",
      not isfinite(border) or folded_to >= ${start(sql`border`)} + ${settled} as "isFolded",
      not exists (
        select from two cross join lateral (
          select from pulls.outcomes
          where registry = two.registry and at >= ${start(sql`two.rolled_to`)} and at < ${start(sql`border`)}
          order by repository limit 1
        ) o
        where two.rolled_to < border
      ) as "isRolled"
    from joint
  `.execute(tx)
  const [joint] = rows
  if (!joint) throw new Error(`${move.from} and ${move.to} are not there`)
  return joint
}

const start = (day: RawBuilder<unknown>): RawBuilder<unknown> => sql`(${day}::timestamp at time zone 'UTC')`

/** Both are one registry: where nothing waits, what was folded of one is as far as the other has come, and its days are over. */
const letRollUp = async (tx: Sql, move: Move): Promise<void> => {
  await sql`
    update pulls.registries r set folded_to = latest.at
    from (select max(folded_to) as at from pulls.registries where ${both(move)}) latest
    where ${both(move)} and folded_to < latest.at and not exists (
      select from pulls.pending p where p.registry = r.registry and p.at > r.folded_to and p.at <= latest.at
    )
  `.execute(tx)
}

/** Rows of days that were being rolled up: of the alias they have gone, of the other they would be told from now on. */
const dropUnfinished = async (tx: Sql, { from, to }: Move, border: string): Promise<void> => {
  const unfinished = (registry: string): RawBuilder<unknown> =>
    sql`registry = ${registry} and day >= (select rolled_to from pulls.registries where registry = ${registry})`
  for (const table of ['pulls.days', 'pulls.behaviours']) {
    await sql`delete from ${sql.table(table)} where ${unfinished(from)}`.execute(tx)
    await sql`delete from ${sql.table(table)} where ${unfinished(to)} and day < ${border}::date`.execute(tx)
  }
}

/** How origins asked on the newest days is read for those that are not rolled up, too. */
const copyNewestReadings = async (tx: Sql, { from, to }: Move, border: string): Promise<void> => {
  await sql`
    insert into pulls.behaviours (day, registry, repository, origin, behaviour, likely)
    select day, ${to}, repository, origin, behaviour, likely from pulls.behaviours
    where registry = ${from} and day >= ${border}::date - ${sql.lit(NEWEST_DAYS)}::int
    on conflict do nothing
  `.execute(tx)
}

/** A repository that only one of both knows keeps its number. */
const moveTotals = async (tx: Sql, { from, to }: Move): Promise<void> => {
  await sql`
    update pulls.totals n set invocations = n.invocations + a.invocations, pulls = n.pulls + a.pulls
    from pulls.totals a where n.registry = ${to} and a.registry = ${from} and a.repository = n.repository
  `.execute(tx)
  await sql`
    delete from pulls.totals a using pulls.totals n
    where a.registry = ${from} and n.registry = ${to} and n.repository = a.repository
  `.execute(tx)
  await sql`update pulls.totals set registry = ${to} where registry = ${from}`.execute(tx)
}

const moveLastUses = async (tx: Sql, { from, to }: Move): Promise<void> => {
  await sql`
    with moved as (delete from pulls.last_uses where registry = ${from} returning *)
    insert into pulls.last_uses as u (registry, repository, reference, kind, used_at, pulled_at)
    select ${to}, repository, reference, kind, used_at, pulled_at from moved
    order by repository, reference, kind
    ${keepNewest}
  `.execute(tx)
}
