import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { sql } from 'kysely'
import { createDefinitionReader } from '../../src/definitions/definition-file.js'
import { importFile, type ImportDeps, type Imported } from '../../src/logs/import-file.js'
import type { LogSource } from '../../src/logs/log-source.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'
import { loadClients } from '../../src/requesters/client.js'
import { createLogRequests } from '../../src/service/log-requests.js'
import type { Database, Sql } from '../../src/storage/sql/database.js'

const DEFINITIONS = fileURLToPath(new URL('../../definitions', import.meta.url))
const clientOf = loadClients([join(DEFINITIONS, 'clients.yml')], createDefinitionReader(join(DEFINITIONS, 'schema')))

const USERS_KEY = 'a users key for tests'

export type ImportSettings = {
  registry: string
  now: Date
  /** Called in each transaction, after the requests are stored. */
  onStored?: (tx: Sql) => Promise<void>
} & Partial<Pick<ImportDeps<never, never>, 'given' | 'options' | 'mostWeight'>>

/** Imports logs as the command does, without its settings and its messages. */
export const importInto = async (
  database: Database,
  source: LogSource,
  { registry, now, given = {}, options = {}, mostWeight, onStored }: ImportSettings,
): Promise<Imported> => {
  const createRequests = createLogRequests({
    config: {
      ...{ windows: WINDOWS, pulls_lateness_seconds: 300, pulls_salt_rotation: 'monthly' },
      ...{ pulls_ipv4_prefix: 32, pulls_ipv6_prefix: 64 },
    },
    secrets: { usersKey: USERS_KEY },
    clientOf,
    now: () => now,
  })
  return importFile(source, {
    ...{ database, registry, given, options, key: USERS_KEY, now: () => now },
    createRequests: () => {
      const requests = createRequests(registry)
      const take: typeof requests.take = () => {
        const store = requests.take()
        return async (tx, file) => {
          const late = await store(tx, file)
          await onStored?.(tx)
          return late
        }
      }
      return { ...requests, take }
    },
    ...(mostWeight !== undefined && { mostWeight }),
  })
}

export type OutcomeRow = Record<string, unknown>

/** All outcomes, in order. */
export const outcomeRows = async (database: Database): Promise<OutcomeRow[]> => {
  const { rows } = await sql<OutcomeRow>`
    select id, what, at::text, registry, repository, origin, endpoint, tag, digest, gets, layers, bytes::text, starts_session, shows_blobs,
      client, kind
    from pulls.outcomes order by registry, repository, at, id
  `.execute(database.sql)
  return rows
}
