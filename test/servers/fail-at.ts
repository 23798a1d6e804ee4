import type { KyselyPlugin } from 'kysely'
import type { Database } from '../../src/storage/sql/database.js'

/** A database of which the jobs' statement with this number fails, before it is sent. The first one has the number 1. Only those that contain a text are counted. */
export const failAt = (database: Database, number: number, text = ''): Database => {
  let statements = 0
  const plugin: KyselyPlugin = {
    transformQuery: ({ node }) => {
      if (JSON.stringify(node).includes(text) && ++statements === number) throw new Error('a statement failed')
      return node
    },
    transformResult: async ({ result }) => Promise.resolve(result),
  }
  return { ...database, jobs: database.jobs.withPlugin(plugin) }
}
