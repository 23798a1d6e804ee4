import type { Database } from '../../src/storage/sql/database.js'
import { openPglite } from '../../src/storage/embedded/pglite.js'
import { openPostgres } from '../../src/storage/sql/postgres.js'
import { createDatabase } from './shared.js'
import { embeddedFolder } from './stores.js'

export type OpenedDatabase = { database: Database; close: () => Promise<void> }

/** A database of each engine without tables, for tests of migrations. */
export const EMPTY_DATABASES: [string, () => Promise<OpenedDatabase>][] = [
  [
    'PostgreSQL',
    async () => {
      const server = await createDatabase({ isMigrated: false })
      const database = openPostgres(server.url)
      return {
        database,
        close: async () => {
          await database.close()
          await server.drop()
        },
      }
    },
  ],
  [
    'PGlite',
    async () => {
      const folder = embeddedFolder('empty')
      const database = await openPglite(folder.path)
      return {
        database,
        close: async () => {
          await database.close()
          folder.remove()
        },
      }
    },
  ],
]
