import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'

/** A manifest to read, and a repository from which it can be read. */
export type DueManifest = { digest: string; attempts: number; registry: string; repository: string }

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
/** From one failure to the next attempt: more than two days in total, since registries may be unavailable for a night. */
const DELAYS = ['10 s', '30 s', '1 min', '5 min', '15 min', '1 h', '3 h', '6 h', '12 h', '12 h', '24 h']
const LONGEST_ERROR = 500

type Step = {
  claimed: DueManifest[]
  /** Where the next step begins; undefined if nothing more is due. */
  next?: Position
  /** Where the walk after this one may begin without missing a manifest. */
  resume: Position
}

/**
 * Claims manifests whose contents are to be read, from a position on: those that are now in a repository of one of these
 * registries. Rows of other registries are skipped unchanged; a caller that remembers the position skips them once. Each
 * attempt reads from another of the repositories that have the manifest.
 */
export const claimDue = async (
  { sql: db }: Database,
  { registries, after, most }: { registries: readonly string[]; after: Position; most: number },
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
        where o.digest = step.digest and o.live and r.registry = any(${registries}::text[])
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
      select claimed.digest, attempts, candidate.registry, candidate.name
      from claimed cross join lateral (
        select r.registry, r.name, row_number() over (order by o.seen_at desc, r.id) - 1 as number, count(*) over () as repositories
        from inventory.repository_manifests o join inventory.repositories r on r.id = o.repository_id
        where o.digest = claimed.digest and o.live and r.registry = any(${registries}::text[])
      ) candidate
      where number = (attempts - 1) % repositories
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
        'digest', digest, 'attempts', attempts, 'registry', registry, 'repository', name)) from located), '[]') as claimed
    from (select) as one left join ends on true
  `.execute(db)
  const [row] = rows
  if (!row) throw new Error('a claim has one row')
  const { resume_at, next_at: at, next_digest: digest, claimed } = row
  return {
    claimed,
    resume: { at: resume_at, digest: '' },
    ...(at !== null && digest !== null && { next: { at, digest } }),
  }
}

type StepRow = { resume_at: string; next_at: string | null; next_digest: string | null; claimed: DueManifest[] }

/** Stores why a manifest could not be read, and when the next attempt is due; none is due after twelve attempts. */
export const postpone = async (db: Sql, { digest, attempts }: DueManifest, reason: string): Promise<void> => {
  await sql`
    update inventory.manifests
    set last_error = ${reason.slice(0, LONGEST_ERROR)}, next_attempt_at = now() + ${DELAYS[attempts - 1] ?? null}::interval
    where digest = ${digest} and not contents_known
  `.execute(db)
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
