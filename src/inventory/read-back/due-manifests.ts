import { sql, type RawBuilder } from 'kysely'
import { repeatUntilEmpty } from '../../storage/sql/batched.js'
import type { Database, Sql } from '../../storage/sql/database.js'

/** A manifest to read, a repository from which it can be read, and how many registries that may be read have it. */
export type DueManifest = { digest: string; attempts: number; registries: number; registry: string; repository: string }

/** The registries that may be read: hosts under which they may be recorded, with their names. */
type Readable = {
  registries: ReadonlyMap<string, string>
  /** The hosts of registries that are not paused. */
  unpaused: readonly string[]
}

/** How far a walk through the due manifests has come. */
export type Position = { at: string; digest: string }
export const BEGINNING: Position = { at: '-infinity', digest: '' }

/** Rows that one step checks. Most of them may be in registries that cannot be read. */
const STEP = 2_000
/**
 * No other process reads a claimed manifest for this time, which is longer than all manifests of one claim take. If a process
 * dies, its manifests are read later.
 */
const LEASE = '5 minutes'
/**
 * Rows become due in the order of their times, but a transaction that stores some of them may end after one that began later.
 */
const LATE = '1 minute'
/**
 * From one failure to the next attempt at the same registry: more than two days in total, since registries may be unavailable for a
 * night.
 */
const DELAYS = ['10 s', '30 s', '1 min', '5 min', '15 min', '1 h', '3 h', '6 h', '12 h', '12 h', '24 h']
/** The longest delay. */
const LONGEST_DELAY = '24 h'
/** From a failure to the attempt at the next registry. */
const NEXT_REGISTRY = '10 s'
/** The largest number of attempts, if more than 20 registries have a manifest. */
const MOST_ATTEMPTS = 240
/** The most repositories of each manifest from which the statement of a claim chooses: it has up to 32 manifests. */
const FEW_REPOSITORIES = 1_000
/** The most repositories from which a separate statement for one manifest chooses: half a second with the embedded database. */
const MANY_REPOSITORIES = 20_000
const LONGEST_ERROR = 500

type Step = {
  claimed: DueManifest[]
  /** Where the next step begins; undefined if nothing more is due. */
  next?: Position
  /** Where the walk after this one may begin without missing a manifest. */
  resume: Position
}

/**
 * Claims manifests whose contents are to be read, from a position on: those that are now in a repository of an unpaused
 * registry. Rows of other registries are skipped unchanged; a caller that remembers the position skips them once. Each
 * attempt reads from another registry that has the manifest, and in each registry from another repository.
 */
export const claimDue = async (
  { sql: db }: Database,
  { after, most, ...readable }: Readable & { after: Position; most: number },
): Promise<Step> => {
  const { rows } = await sql<StepRow>`
    with step as materialized (
      select digest, next_attempt_at from inventory.manifests
      where not contents_known and next_attempt_at between ${after.at} and now()
        and (next_attempt_at, digest) > (${after.at}::timestamptz, ${after.digest})
      order by next_attempt_at, digest
      limit ${STEP}
    ), readable as materialized (
      select digest, next_attempt_at from step
      where exists (
        select from inventory.repository_manifests o join inventory.repositories r on r.id = o.repository_id
        where o.digest = step.digest and o.live and r.registry = any(${readable.unpaused}::text[])
        -- Makes PostgreSQL look up each row, whatever its statistics say.
        offset 0
      )
      order by next_attempt_at, digest
      limit ${most}
    ), free as materialized (
      select m.digest from inventory.manifests m join readable using (digest)
      where not m.contents_known and m.next_attempt_at <= now()
      order by m.digest
      for update of m skip locked
    ), claimed as (
      update inventory.manifests m
      set attempts = m.attempts + 1, next_attempt_at = now() + ${LEASE}::interval
      from free where m.digest = free.digest
      returning m.digest, m.attempts
    ), located as (
      select claimed.digest, attempts, source.*
      from claimed cross join lateral (
        ${sourceOf(sql`claimed.digest`, sql`claimed.attempts`, { ...readable, most: FEW_REPOSITORIES })}
      ) source
    ), last_readable as (
      select next_attempt_at, digest from readable order by next_attempt_at desc, digest desc limit 1
    ), last_seen as (
      select next_attempt_at, digest from step order by next_attempt_at desc, digest desc limit 1
    ), ends as (
      -- A full claim may have left readable rows of this step behind.
      select * from last_readable where (select count(*) from readable) = ${most}
      union all
      select * from last_seen where (select count(*) from readable) < ${most} and (select count(*) from step) = ${STEP}
    )
    select (now() - ${LATE}::interval)::text as resume_at, ends.next_attempt_at::text as next_at, ends.digest as next_digest,
      coalesce((select jsonb_agg(jsonb_build_object(
        'digest', digest, 'attempts', attempts, 'registry', registry, 'repository', name, 'registries', registries,
        'repositories', repositories)) from located), '[]') as claimed
    from (select) as one left join ends on true
  `.execute(db)
  const [row] = rows
  if (!row) throw new Error('a claim has one row')
  const { resume_at, next_at: at, next_digest: digest, claimed: located } = row
  const claimed: DueManifest[] = []
  for (const { repositories, ...due } of located)
    claimed.push(repositories < FEW_REPOSITORIES ? due : await locateAmongMany(db, due, readable))
  return {
    claimed,
    resume: { at: resume_at, digest: '' },
    ...(at !== null && digest !== null && { next: { at, digest } }),
  }
}

type StepRow = {
  resume_at: string
  next_at: string | null
  next_digest: string | null
  /** Each with the number of repositories from which its repository was chosen. */
  claimed: (DueManifest & { repositories: number })[]
}

/**
 * Selects the registry and the repository of an attempt. Unpaused registries take turns in the order of their names, so that one
 * registry cannot use up the attempts of another by announcing a manifest in many repositories. The repositories of a registry take
 * turns, too, the most recently used first.
 * @param most the largest number of repositories to choose from
 */
const sourceOf = (
  digest: RawBuilder<unknown>,
  attempts: RawBuilder<unknown>,
  { registries, unpaused, most }: Readable & { most: number },
): RawBuilder<unknown> => {
  const isUnpaused = new Set(unpaused)
  const paused = [...registries.keys()].filter((host) => !isUnpaused.has(host))
  const names = sql`unnest(${[...registries.keys()]}::text[], ${[...registries.values()]}::text[]) as names (host, owner)`
  return sql`
    with candidates as materialized (
      ${repositoriesOf(digest, { hosts: unpaused, most })}
    ), turns as (
      select owner, array_agg(registry) as recorded_as, sum(entries)::bigint as entries,
        row_number() over (order by owner) - 1 as number, count(*) over () as registries
      from (select registry, count(*) as entries from candidates group by registry) counted
        join ${names} on host = registry
      group by owner
    ), paused as (
      select count(distinct owner) as registries
      from (select distinct registry from (${repositoriesOf(digest, { hosts: paused, most })}) found) counted
        join ${names} on host = registry
    )
    select chosen.registry, chosen.name, turns.registries + paused.registries as registries,
      (select count(*) from candidates) as repositories
    from paused cross join turns cross join lateral (
      select registry, name from candidates where registry = any(recorded_as)
      order by seen_at desc, id
      offset (${attempts} - 1) / turns.registries % entries limit 1
    ) chosen
    where number = (${attempts} - 1) % turns.registries
  `
}

/** The repositories that have a manifest, of registries that are recorded under these hosts. */
const repositoriesOf = (
  digest: RawBuilder<unknown>,
  { hosts, most }: { hosts: readonly string[]; most: number },
): RawBuilder<unknown> => sql`
  select r.id, r.registry, r.name, o.seen_at
  from (
    select repository_id, seen_at from inventory.repository_manifests where digest = ${digest} and live offset 0
  ) o cross join lateral (
    -- Makes PostgreSQL look up each row, whatever its statistics say.
    select id, registry, name from inventory.repositories
    where id = o.repository_id and registry = any(${hosts}::text[]) offset 0
  ) r
  where cardinality(${hosts}::text[]) > 0
  limit ${most}
`

/** Chooses among many repositories, in a statement for one manifest. */
const locateAmongMany = async (db: Sql, due: DueManifest, readable: Readable): Promise<DueManifest> => {
  const source = sourceOf(sql`${due.digest}`, sql`${due.attempts}::int`, { ...readable, most: MANY_REPOSITORIES })
  const { rows } = await sql<{ registry: string; name: string; registries: string }>`${source}`.execute(db)
  const [found] = rows
  if (!found) return due
  return { ...due, registry: found.registry, repository: found.name, registries: Number(found.registries) }
}

/** Makes manifests due whose next attempt is further ahead than any delay: the clock was ahead when the attempt was scheduled. */
export const dueAhead = async (db: Sql): Promise<void> => {
  await repeatUntilEmpty(async () => {
    const { numAffectedRows } = await sql`
      update inventory.manifests set next_attempt_at = now()
      where digest = any(array(
        select digest from inventory.manifests
        where not contents_known and next_attempt_at > now() + ${LONGEST_DELAY}::interval
        limit ${STEP} for update skip locked
      ))
    `.execute(db)
    return Number(numAffectedRows ?? 0)
  })
}

/** Stores why a manifest could not be read, and when the next attempt is due; none is due after twelve attempts at each registry. */
export const postpone = async (db: Sql, due: DueManifest, reason: string): Promise<void> => {
  await sql`
    update inventory.manifests
    set last_error = ${reason.slice(0, LONGEST_ERROR)}, next_attempt_at = now() + ${delayAfter(due)}::interval
    where digest = ${due.digest} and not contents_known
  `.execute(db)
}

/** The delay after an attempt; null if that was the last one. */
const delayAfter = ({ attempts, registries }: DueManifest): string | null => {
  if (attempts >= MOST_ATTEMPTS) return null
  const rounds = Math.floor(attempts / registries)
  if (rounds > DELAYS.length) return null
  return attempts % registries === 0 ? (DELAYS[rounds - 1] ?? null) : NEXT_REGISTRY
}

/** Stores that a manifest was not read because its registry is paused: the attempt does not count. */
export const putBack = async (
  db: Sql,
  { digest }: DueManifest,
  { pauseMs, reason }: { pauseMs: number; reason: string },
): Promise<void> => {
  await sql`
    update inventory.manifests
    set attempts = greatest(attempts - 1, 0), next_attempt_at = now() + ${pauseMs / 1000} * interval '1 second',
      last_error = ${reason}
    where digest = ${digest} and not contents_known
  `.execute(db)
}
