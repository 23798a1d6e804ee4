import { sql } from 'kysely'
import type { Sql } from '../storage/sql/database.js'

/** Key of the advisory lock for learning hosts and processes and joining registries. Arbitrary, but it must never change. */
const LOCK = 7_261_412

/** Until the transaction ends, no other process changes the tables of hosts and processes. */
export const lockLearned = async (tx: Sql): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx)
}

/** Hosts and processes, each with the key of its registry. */
export type Learnings = { hosts: Map<string, string>; processes: Map<string, string> }

export type LearnedChanges = Learnings & {
  revision: number
  /** Whether these are all hosts and processes, because some were removed after the given revision. */
  isWhole: boolean
}

/** The changes of the tables after a revision (-1: all rows), and their current revision. */
export const readLearned = async (db: Sql, after: number): Promise<LearnedChanges> => {
  const { rows } = await sql<{ kind: 'host' | 'process' | 'revision'; name: string; registry: string }>`
    with read as (
      select revision, removal_revision > ${after} as is_whole,
        case when removal_revision > ${after} then 0 else ${after} end as after
      from registry_identity
    )
    select 'revision' as kind, revision::text as name, is_whole::text as registry from read
    union all select 'host', host, registry from registry_hosts where revision > (select after from read)
    union all select 'process', instance, registry from registry_processes where revision > (select after from read)
  `.execute(db)
  const read = {
    hosts: new Map<string, string>(),
    processes: new Map<string, string>(),
    revision: after,
    isWhole: false,
  }
  for (const { kind, name, registry } of rows) {
    if (kind === 'host') read.hosts.set(name, registry)
    else if (kind === 'process') read.processes.set(name, registry)
    else Object.assign(read, { revision: Number(name), isWhole: registry === 'true' })
  }
  return read
}

type WriteOptions = {
  /** The next revision. */
  revision: number
  now: Date
  /** Whether the hosts are never removed. */
  isPermanent: boolean
}

/** Stores learned hosts and processes. Requires the lock of `lockLearned`. */
export const writeLearned = async (
  tx: Sql,
  { hosts, processes }: Learnings,
  { revision, now, isPermanent }: WriteOptions,
): Promise<void> => {
  await sql`update registry_identity set revision = ${revision}`.execute(tx)
  for (const [table, column, rows] of [
    ['registry_hosts', 'host', hosts],
    ['registry_processes', 'instance', processes],
  ] as const) {
    if (rows.size === 0) continue
    await sql`
      insert into ${sql.table(table)} as stored (${sql.ref(column)}, registry, first_heard_at, last_heard_at, revision)
      select name, registry, ${now}::timestamptz, ${now}::timestamptz, ${revision}
      from unnest(${[...rows.keys()]}::text[], ${[...rows.values()]}::text[]) as incoming (name, registry)
      on conflict (${sql.ref(column)}) do update
        set registry = excluded.registry, revision = excluded.revision,
          last_heard_at = greatest(stored.last_heard_at, excluded.last_heard_at)
    `.execute(tx)
  }
  if (!isPermanent) return
  await sql`
    update registry_hosts set is_permanent = true where host = any(${[...hosts.keys()]}::text[])
  `.execute(tx)
}

/** Records that rows were removed, so that every process reads all rows again. Requires the lock of `lockLearned`. */
export const noteRemoval = async (tx: Sql): Promise<void> => {
  await sql`update registry_identity set revision = revision + 1, removal_revision = revision + 1`.execute(tx)
}

/**
 * The names with recorded data. Counters do not matter: an import may add counters without the learned hosts, and every event records
 * more than counters.
 */
export const recordedIn = async (db: Sql, names: readonly string[]): Promise<ReadonlySet<string>> => {
  if (names.length === 0) return new Set()
  const { rows } = await sql<{ name: string }>`
    select name from unnest(${names}::text[]) as names (name)
    where exists (select from receptions where registry = names.name)
      or exists (select from inventory.repositories where registry = names.name)
      or exists (select from pulls.registries where registry = names.name)
  `.execute(db)
  return new Set(rows.map(({ name }) => name))
}
