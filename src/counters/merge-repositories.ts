import { sql, type RawBuilder } from 'kysely'
import type { EventId } from '../events/registry-event.js'
import type { Sql, Transaction } from '../storage/sql/database.js'
import { epochMicros } from '../storage/sql/moments.js'
import { createAdditions, type CountingDeps } from './additions.js'
import { type Contribution } from './contributions.js'
import { isBefore, lockRepositories, markStale, type FirstEvent } from './first-events.js'
import { countMerge } from './repository-merges.js'
import { keepUnresolved } from './unresolved-users.js'

/** Repositories renamed or merged in one transaction. First events of new repositories wait for the lock of that transaction. */
export const AT_ONCE = 200

/**
 * Moves the repositories of aliases to their registries. If the registry has a repository of the same name, the earlier first event
 * stays the first event. The later one counts as an event of a known repository.
 * @param aliases aliases with the names of their registries
 */
export const mergeRepositories = async (
  counting: CountingDeps,
  aliases: ReadonlyMap<string, string>,
): Promise<void> => {
  const { database } = counting
  for (const { alias, registry } of await aliasesWithRepositories(database.sql, aliases)) {
    let last: string | undefined = ''
    while (last !== undefined) last = await mergePage(counting, { alias, registry, after: last })
  }
}

/** Avoids taking the lock in vain: first events wait for it, and aliases seldom have repositories. */
const aliasesWithRepositories = async (
  db: Sql,
  aliases: ReadonlyMap<string, string>,
): Promise<{ alias: string; registry: string }[]> => {
  const { rows } = await sql<{ alias: string; registry: string }>`
    select alias, registry
    from unnest(${[...aliases.keys()]}::text[], ${[...aliases.values()]}::text[]) as aliases (alias, registry)
    where exists (select from repositories r where r.registry = aliases.alias)
    order by alias
  `.execute(db)
  return rows
}

type MergePage = { alias: string; registry: string; after: string }
type StoredFirst = { at: string; id: EventId; ifFirst: Contribution[]; ifKnown: Contribution[] }
type AliasRepository = { name: string; ofAlias: StoredFirst; ofName: StoredFirst | null }
type RepositoryPair = AliasRepository & { ofName: StoredFirst }

/**
 * Renames or merges the next repositories of an alias, in one transaction.
 * @returns the last name of the page; undefined if no repositories follow
 */
const mergePage = async (counting: CountingDeps, page: MergePage): Promise<string | undefined> =>
  counting.database.transaction(async (tx) => {
    await lockRepositories(tx)
    const rows = await readPage(tx, page)
    const pairs = rows.filter((row): row is RepositoryPair => row.ofName !== null)
    const unknown = rows.filter(({ ofName }) => ofName === null)
    await mergeKnown(tx, counting, { ...page, pairs })
    await rename(tx, page, unknown)
    if (rows.length > 0) await countMerge(tx)
    return rows.length < AT_ONCE ? undefined : rows.at(-1)?.name
  })

/** Reads the next page by key, so that each page reads only its own rows. */
const readPage = async (tx: Sql, { alias, registry, after }: MergePage): Promise<AliasRepository[]> => {
  const first = (table: string): RawBuilder<unknown> => sql`json_build_object(
    'at', ${epochMicros(sql.ref(`${table}.first_at`))}::text,
    'id', ${sql.ref(`${table}.first_event`)},
    'ifFirst', ${sql.ref(`${table}.if_first`)}, 'ifKnown', ${sql.ref(`${table}.if_known`)})`
  const { rows } = await sql<AliasRepository>`
    select known.name, ${first('known')} as "ofAlias",
      case when kept.name is not null then ${first('kept')} end as "ofName"
    from (
      select * from repositories where registry = ${alias} and name > ${after} order by name limit ${AT_ONCE}
    ) known
      left join repositories kept on kept.registry = ${registry} and kept.name = known.name
    order by known.name
  `.execute(tx)
  return rows
}

/** Merges repositories that exist under both an alias and the registry's name. */
const mergeKnown = async (
  tx: Transaction,
  { sketches, rules, lifetimes }: CountingDeps,
  { pairs, ...page }: MergePage & { pairs: readonly RepositoryPair[] },
): Promise<void> => {
  if (pairs.length === 0) return
  const later: FirstEvent[] = []
  const earlier: RepositoryPair[] = []
  for (const pair of pairs) {
    const [ofAlias, ofName] = [parsed(pair.ofAlias), parsed(pair.ofName)]
    if (ofAlias.id === ofName.id) continue
    const isAliasFirst = isBefore(ofAlias, ofName)
    later.push(isAliasFirst ? ofName : ofAlias)
    if (isAliasFirst) earlier.push(pair)
  }
  await remove(tx, page.registry, earlier)
  await rename(tx, page, earlier)
  await remove(tx, page.alias, pairs)
  await markStale(tx, later, rules)
  const additions = createAdditions(rules, lifetimes)
  for (const { at, ifKnown } of later) additions.add(ifKnown, at)
  await keepUnresolved(tx, additions.unresolved())
  await sketches.add(additions.list(), tx)
}

const parsed = ({ at, ...first }: StoredFirst): FirstEvent => ({ ...first, at: Number(at) })

const rename = async (tx: Sql, { alias, registry }: MergePage, known: readonly AliasRepository[]): Promise<void> => {
  if (known.length === 0) return
  await sql`
    update repositories set registry = ${registry}
    where registry = ${alias} and name = any(${known.map(({ name }) => name)}::text[])
  `.execute(tx)
}

const remove = async (tx: Sql, registry: string, known: readonly AliasRepository[]): Promise<void> => {
  if (known.length === 0) return
  await sql`
    delete from repositories where registry = ${registry} and name = any(${known.map(({ name }) => name)}::text[])
  `.execute(tx)
}
