import { sql } from 'kysely'
import { isRegistryName } from '../events/registry-host.js'
import type { Database } from '../storage/sql/database.js'
import type { Learned } from './learned.js'
import type { Learnings } from './learned-tables.js'
import type { RegistryIdentity } from './registry-identity.js'
import { isKnownRegistry } from './registry-names.js'
import { UserError } from '../runtime/user-error.js'

/** A join of registries is refused. The message explains why, and what to do. */
export class JoinRefused extends UserError {
  override readonly kind = 'invalid'
}

export type Join = { from: string; into: string; dryRun: boolean }

/** The effects of a join, or with `dryRun` its expected effects. */
export type JoinReport = Join & {
  /** Names of the first registry, which all become aliases of the second. */
  hosts: string[]
  processes: number
  /** The number of repositories whose data moves, and how many of them exist in both registries. */
  repositories: number
  inBoth: number
}

type JoinDeps = { database: Database; identity: RegistryIdentity }

/**
 * Makes a registry an alias of another. Its hosts and processes belong to the other registry at once, and its recorded data moves
 * later. A join cannot be undone.
 * @throws JoinRefused
 */
export const joinRegistries = async ({ database, identity }: JoinDeps, join: Join): Promise<JoinReport> => {
  if (identity.mode === 'host') {
    throw new JoinRefused(
      `registry_identity is host: name the alias in the configuration, as registries: { ${join.into}: [${join.from}] }`,
    )
  }
  await identity.refresh()
  const { nameOf } = identity.registries
  const [from, into] = [nameOf(join.from.toLowerCase()), nameOf(join.into.toLowerCase())]
  for (const name of [from, into]) await checkKnown(database, identity, name)
  check(identity, { from, into, given: join.from.toLowerCase() })
  const counted = await countRepositories(database, from, into)
  const learnings = joined(identity.learned(), from, into)
  if (!join.dryRun) await identity.join((current) => joined(current, from, into))
  return {
    from,
    into,
    dryRun: join.dryRun,
    hosts: [...learnings.hosts.keys()].sort(),
    processes: learnings.processes.size,
    ...counted,
  }
}

const check = (
  { configured }: RegistryIdentity,
  { from, into, given }: { from: string; into: string; given: string },
): void => {
  if (from === into) throw new JoinRefused(`${given} and ${into} are one registry already`)
  if (configured.configuredName(from) !== undefined) {
    const isUnderRegistries = configured.list().some(({ name, aliases }) => name === from || aliases.includes(from))
    if (!isUnderRegistries) {
      throw new JoinRefused(
        `a token in notification_tokens has the name ${from}: if that is a typo, correct it there and restart Tallyman, then join; ` +
          `else name it as an alias, for example registries: { ${into}: [${from}] }`,
      )
    }
    const other = configured.configuredName(into) === undefined ? `, or join ${into} into ${from}` : ''
    throw new JoinRefused(
      `the configuration names ${from}, and decides: name it there as an alias, for example registries: { ${into}: [${from}] }${other}`,
    )
  }
  if (from !== given) {
    throw new JoinRefused(`${given} is a host of the registry ${from}: join ${from}, with all its hosts, into ${into}`)
  }
}

const checkKnown = async (database: Database, identity: RegistryIdentity, name: string): Promise<void> => {
  if (isRegistryName(name) && (await isKnownRegistry(database, identity, name))) return
  throw new JoinRefused(`${name} is an unknown registry; "tallyman registries" lists the known ones`)
}

const joined = (learned: Learned, from: string, into: string): Learnings => {
  const isFrom = (key: string): boolean => learned.nameOf(key) === from
  const hosts = new Map([[from, into]])
  const processes = new Map<string, string>()
  for (const key of learned.keys()) if (isFrom(key)) hosts.set(key, into)
  for (const [host, key] of learned.hosts) if (isFrom(key)) hosts.set(host, into)
  for (const [instance, key] of learned.processes) if (isFrom(key)) processes.set(instance, into)
  return { hosts, processes }
}

const countRepositories = async (
  { sql: db }: Database,
  from: string,
  into: string,
): Promise<Pick<JoinReport, 'repositories' | 'inBoth'>> => {
  const { rows } = await sql<{ repositories: string; in_both: string }>`
    select count(*) as repositories, count(*) filter (where exists (
      select from inventory.repositories o where o.registry = ${into} and o.name = r.name
    )) as in_both
    from inventory.repositories r where r.registry = ${from}
  `.execute(db)
  return { repositories: Number(rows[0]?.repositories ?? 0), inBoth: Number(rows[0]?.in_both ?? 0) }
}
