import { sql } from 'kysely'
import { isRegistryName } from '../events/registry-host.js'
import { aliasesOfRegistry } from './registries.js'
import type { Database } from '../storage/sql/database.js'
import { recordedIn } from './learned-tables.js'
import type { RegistryIdentity } from './registry-identity.js'
import { UserError } from '../runtime/user-error.js'

/** A query or a request contains an unknown registry. The message names it, and explains how to list the known ones. */
class UnknownRegistry extends UserError {
  override readonly kind = 'invalid'
}

/**
 * Resolves registries in queries, filters and requests: users write the name or any host of the registry, in any case. Each
 * name from outside is resolved here once, before it is compared with recorded names.
 */
export type RegistryNames = {
  /** The name of a registry. @throws UnknownRegistry */
  nameOf: (given: string) => Promise<string>
  /**
   * All names under which rows of a registry may be recorded, its own name first. Rows under an alias move later.
   * @throws UnknownRegistry
   */
  recordedAs: (given: string) => Promise<string[]>
  /**
   * The recorded values of a filter. A pattern such as registry.* matches only names, because clients choose hosts.
   * @throws UnknownRegistry
   */
  valuesOf: (given: readonly string[]) => Promise<string[]>
}

type NamesDeps = { database: Database; identity: RegistryIdentity }

export const createRegistryNames = ({ database, identity }: NamesDeps): RegistryNames => {
  const known = async (given: string): Promise<string> => {
    const name = identity.registries.nameOf(given.trim().toLowerCase())
    if (isRegistryName(name) && (await isKnownRegistry(database, identity, name))) return name
    throw new UnknownRegistry(
      `registry: ${given.slice(0, 255)} is unknown, as no event came from it; "tallyman registries" (GET /registries) lists the known registries`,
    )
  }
  const recorded = async (given: string): Promise<string[]> => {
    const name = await known(given)
    return [name, ...aliasesOfRegistry(identity.registries, name)]
  }
  return {
    nameOf: async (given) => {
      await identity.refresh()
      return known(given)
    },
    recordedAs: async (given) => {
      await identity.refresh()
      return recorded(given)
    },
    valuesOf: async (given) => {
      await identity.refresh()
      const values: string[] = []
      for (const one of given) values.push(...(one.endsWith('*') ? [one.toLowerCase()] : await recorded(one)))
      return [...new Set(values)]
    },
  }
}

/** Whether a name has recorded data, or is learned or configured. */
export const isKnownRegistry = async (
  database: Database,
  identity: RegistryIdentity,
  name: string,
): Promise<boolean> => {
  if (identity.learned().exists(name) || identity.configured.configuredName(name) !== undefined) return true
  if ((await recordedIn(database.sql, [name])).has(name)) return true
  const { rows } = await sql`select from repositories where registry = ${name} limit 1`.execute(database.sql)
  return rows.length > 0
}
