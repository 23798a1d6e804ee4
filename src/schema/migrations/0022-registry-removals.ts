import { sql, type Kysely, type Migration } from 'kysely'

/** Lets the copies of hosts and processes in memory notice removed rows. */
const statements = [
  // The revision of the newest removal: a copy with an earlier revision must read all rows again.
  sql`alter table registry_identity add column removal_revision bigint not null default 0`,
  // Whether an operator joined the host, so that it is never removed. Unknown for earlier rows.
  sql`alter table registry_hosts add column is_permanent boolean not null default true`,
  sql`alter table registry_hosts alter column is_permanent set default false`,
]

export const registryRemovals: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
