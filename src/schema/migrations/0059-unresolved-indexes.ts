import { sql, type Kysely, type Migration } from 'kysely'

const hasUnresolved = sql`
  (if_first @? '$[*].member ? (@ starts with "?")' or if_known @? '$[*].member ? (@ starts with "?")')`

/**
 * Indexes of the repositories whose contributions contain an unresolved user: by user, and by time. They contain only such
 * repositories, which are few, so other repositories cost nothing but the condition.
 */
const statements = [
  // Contains a hash of each name, four bytes, in place of the name. Without a list of pending entries, because a look-up would
  // read the whole list.
  sql`create index repositories_unresolved_members on repositories
    using gin (jsonb_path_query_array(if_first || if_known, '$[*].member ? (@ starts with "?")') jsonb_path_ops)
    with (fastupdate = off) where ${hasUnresolved}`,
  // The statistics of an expression would contain the names, and keep them after their rows are deleted.
  sql`alter index repositories_unresolved_members alter column 1 set statistics 0`,
  sql`create index repositories_unresolved_first_at on repositories (first_at) where ${hasUnresolved}`,
]

export const unresolvedIndexes: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
