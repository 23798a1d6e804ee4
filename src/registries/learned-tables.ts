import { sql } from 'kysely'
import type { Sql } from '../storage/sql/database.js'

/** The advisory lock under which hosts and processes are learned and registries are joined. Any number, never changed. */
const LOCK = 7_261_412

/** No other process changes the tables of hosts and processes until the transaction ends. */
export const lockLearned = async (tx: Sql): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx)
}

/** Hosts and processes, each with the key of its registry. */
export type Learnings = { hosts: Map<string, string>; processes: Map<string, string> }

export type LearnedChanges = Learnings & {
  revision: number
  /** These are all hosts and processes, because some were removed after the revision that was asked for. */
  isWhole: boolean
}

/** What changed in the tables after a revision (0: everything), and the revision that they have now. */
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

type Written = {
  /** The next one. */
  revision: number
  now: Date
  /** Whether the hosts are never removed. */
  isPermanent: boolean
}

/** Stores what was learned, under the lock. */
export const writeLearned = async (
  tx: Sql,
  { hosts, processes }: Learnings,
  { revision, now, isPermanent }: Written,
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

/** Notes, under the lock, that rows were removed: every copy is read again as a whole. */
export const noteRemoval = async (tx: Sql): Promise<void> => {
  await sql`update registry_identity set revision = revision + 1, removal_revision = revision + 1`.execute(tx)
}

/**
 * Those of the names under which anything was recorded. Counters alone do not tell: an import brings them without the hosts that were
 * learned, and every event leaves more than counters.
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
