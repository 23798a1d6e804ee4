import { sql, type Kysely, type Migration } from 'kysely'

/** Lets questions find the processes of a registry, to note those that fell silent. */
export const processesOfRegistries: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`create index registry_processes_registry on registry_processes (registry)`.execute(db)
  },
}
