import { sql, type RawBuilder } from 'kysely'
import type { EventId } from '../events/registry-event.js'
import type { Transaction } from '../storage/database.js'
import { createAdditions, type Contribution, type Counting } from './additions.js'
import { lockRepositories, markStale, type FirstEvent } from './first-events.js'
import { keepUnresolved } from './unresolved-users.js'

/** Repositories merged in one transaction, for which first events of new repositories wait. */
const AT_ONCE = 200

/**
 * Gives registries the repositories that were known under one of their aliases. If the registry knows a repository of the same
 * name, the earlier of both first events is the first, and the later one counts as an event of a known repository.
 * @param aliases each with the name of its registry.
 */
export const mergeRepositories = async (counting: Counting, aliases: ReadonlyMap<string, string>): Promise<void> => {
  const { database } = counting
  const renamed = sql`
    select distinct on (aliases.name, known.name) known.registry as alias, known.name, aliases.name as registry
    from ${known(aliases)}
    where not exists (select from repositories r where r.registry = aliases.name and r.name = known.name)
    order by aliases.name, known.name, known.first_at, known.first_event
  `
  // First events wait for the lock, and there is hardly ever something to merge.
  const isKnown = sql`select from ${known(aliases)} limit 1`
  if ((await isKnown.execute(database.sql)).rows.length === 0) return
  await database.transaction(async (tx) => {
    await lockRepositories(tx)
    await sql`
      with renamed as (${renamed})
      update repositories r set registry = renamed.registry from renamed
      where r.registry = renamed.alias and r.name = renamed.name
    `.execute(tx)
  })
  for (let isDone = false; !isDone;) {
    isDone = await database.transaction(async (tx) => {
      await lockRepositories(tx)
      return mergeKnown(tx, counting, aliases)
    })
  }
}

const known = (aliases: ReadonlyMap<string, string>): RawBuilder<unknown> => sql`
  unnest(${[...aliases.keys()]}::text[], ${[...aliases.values()]}::text[]) as aliases (alias, name)
  join repositories known on known.registry = aliases.alias`

type StoredFirst = { at: string; id: EventId; ifFirst: Contribution[]; ifKnown: Contribution[] }
type Pair = { alias: string; registry: string; name: string; ofAlias: StoredFirst; ofName: StoredFirst }

/** Merges repositories that both an alias and its name know, one alias of each. @returns whether there was nothing to merge. */
const mergeKnown = async (
  tx: Transaction,
  { sketches, rules, lifetimes }: Counting,
  aliases: ReadonlyMap<string, string>,
): Promise<boolean> => {
  const first = (table: string): RawBuilder<unknown> => sql`json_build_object(
    'at', (extract(epoch from ${sql.ref(`${table}.first_at`)}) * 1000000)::bigint::text,
    'id', ${sql.ref(`${table}.first_event`)},
    'ifFirst', ${sql.ref(`${table}.if_first`)}, 'ifKnown', ${sql.ref(`${table}.if_known`)})`
  const { rows } = await sql<Pair>`
    select distinct on (aliases.name, known.name)
      known.registry as alias, aliases.name as registry, known.name, ${first('known')} as "ofAlias",
      ${first('kept')} as "ofName"
    from ${known(aliases)} join repositories kept on kept.registry = aliases.name and kept.name = known.name
    order by aliases.name, known.name, known.registry limit ${AT_ONCE}
  `.execute(tx)
  if (rows.length === 0) return true

  const later: FirstEvent[] = []
  const earlier: Pair[] = []
  for (const pair of rows) {
    const [ofAlias, ofName] = [parsed(pair.ofAlias), parsed(pair.ofName)]
    if (ofAlias.id === ofName.id) continue
    const isAliasFirst = ofAlias.at < ofName.at || (ofAlias.at === ofName.at && ofAlias.id < ofName.id)
    later.push(isAliasFirst ? ofName : ofAlias)
    if (isAliasFirst) earlier.push(pair)
  }
  await deleteRows(tx, earlier, ({ registry }) => registry)
  await sql`
    update repositories r set registry = moved.registry
    from unnest(
      ${earlier.map(({ alias }) => alias)}::text[], ${earlier.map(({ name }) => name)}::text[],
      ${earlier.map(({ registry }) => registry)}::text[]
    ) as moved (alias, name, registry)
    where r.registry = moved.alias and r.name = moved.name
  `.execute(tx)
  await deleteRows(tx, rows, ({ alias }) => alias)
  await markStale(tx, later, rules)
  const additions = createAdditions(rules, lifetimes)
  for (const { at, ifKnown } of later) additions.add(ifKnown, at)
  await keepUnresolved(tx, additions.unresolved())
  await sketches.add(additions.list(), tx)
  return false
}

const parsed = ({ at, ...first }: StoredFirst): FirstEvent => ({ ...first, at: Number(at) })

const deleteRows = async (
  tx: Transaction,
  pairs: readonly Pair[],
  registryOf: (pair: Pair) => string,
): Promise<void> => {
  await sql`
    delete from repositories where (registry, name) in (
      select * from unnest(${pairs.map(registryOf)}::text[], ${pairs.map(({ name }) => name)}::text[])
    )
  `.execute(tx)
}
