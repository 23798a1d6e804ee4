import { sql, type Kysely, type Migration } from 'kysely'

/** What the copies of hosts and processes need to follow rows that were removed. */
const statements = [
  // The revision of the newest removal: a copy of an earlier revision is read again as a whole.
  sql`alter table registry_identity add column removal_revision bigint not null default 0`,
  // Whether the host was joined by an operator, so that it is never removed. Of earlier rows it is not known.
  sql`alter table registry_hosts add column is_permanent boolean not null default true`,
  sql`alter table registry_hosts alter column is_permanent set default false`,
]

export const registryRemovals: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
