import { sql } from 'kysely'
import type { Sql } from '../storage/database.js'

/** The advisory lock under which hosts and processes are learned and registries are joined. Any number, never changed. */
const LOCK = 7_261_412

/** No other process changes the tables of hosts and processes until the transaction ends. */
export const lockLearned = async (tx: Sql): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${LOCK})`.execute(tx)
}

/** Hosts and processes, each with the key of its registry. */
export type Learnings = { hosts: Map<string, string>; processes: Map<string, string> }

/** What changed in the tables after a revision (0: everything), and the revision that they have now. */
export const readLearned = async (db: Sql, after: number): Promise<Learnings & { revision: number }> => {
  const { rows } = await sql<{ kind: 'host' | 'process' | 'revision'; name: string; registry: string }>`
    select 'revision' as kind, revision::text as name, '' as registry from registry_identity
    union all select 'host', host, registry from registry_hosts where revision > ${after}
    union all select 'process', instance, registry from registry_processes where revision > ${after}
  `.execute(db)
  const read = { hosts: new Map<string, string>(), processes: new Map<string, string>(), revision: after }
  for (const { kind, name, registry } of rows) {
    if (kind === 'host') read.hosts.set(name, registry)
    else if (kind === 'process') read.processes.set(name, registry)
    else read.revision = Number(name)
  }
  return read
}

/**
 * Stores what was learned, under the lock.
 * @param revision the next one.
 */
export const writeLearned = async (
  tx: Sql,
  { hosts, processes }: Learnings,
  { revision, now }: { revision: number; now: Date },
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
}
