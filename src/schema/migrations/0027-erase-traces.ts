import { sql, type Kysely, type Migration } from 'kysely'

const statements = [
  // Tables whose deleted rows are still in the files of the embedded database, to be rewritten at its next start.
  sql`create table pending_rewrites (name text primary key)`,
  // The values in the statistics of a column stay after their rows are deleted. Setting the type removes them.
  sql`alter table pulls.salts alter column salt type text`,
  sql`alter table pulls.salts alter column salt set statistics 0`,
  sql`alter table unresolved_users alter column name type text`,
  sql`alter table unresolved_users alter column name set statistics 0`,
  ...['if_first', 'if_known'].flatMap((column) => [
    sql`alter table repositories alter column ${sql.ref(column)} type jsonb`,
    sql`alter table repositories alter column ${sql.ref(column)} set statistics 0`,
  ]),
]

export const eraseTraces: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
