import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/database.js'
import type { Chain } from '../fold/chain.js'
import type { Who } from '../record/pending.js'

/** A chain as it is kept between two runs, with who its origin is. */
export type KeptChain = { chain: Chain; who: Who }

type Wanted = { repository: string; origin: string }

/** The chains of one registry that requests may go on with. */
export const loadChains = async (tx: Sql, registry: string, wanted: readonly Wanted[]): Promise<KeptChain[]> => {
  const { rows } = await sql<{ who: string; state: string }>`
    select c.who, c.state
    from unnest(${wanted.map(({ repository }) => repository)}::text[], ${wanted.map(({ origin }) => origin)}::text[])
      as wanted (repository, origin)
      cross join lateral (
        select who, state from pulls.chains
        where registry = ${registry} and repository = wanted.repository and origin = wanted.origin offset 0
      ) c
  `.execute(tx)
  return rows.map(({ who, state }) => ({ chain: JSON.parse(state) as Chain, who: JSON.parse(who) as Who }))
}

/** Keeps chains that go on, and forgets those that no request can go on with any more. */
export const saveChains = async (
  tx: Sql,
  registry: string,
  { kept, at }: { kept: readonly (KeptChain & { overAt: Micros })[]; at: Micros },
): Promise<void> => {
  const sorted = [...kept].sort((a, b) => (keyOf(a.chain) < keyOf(b.chain) ? -1 : 1))
  await sql`
    insert into pulls.chains (registry, repository, origin, over_at, who, state)
    select ${registry}, * from unnest(
      ${sorted.map(({ chain }) => chain.place.repository)}::text[],
      ${sorted.map(({ chain }) => chain.place.origin)}::text[],
      ${sorted.map(({ overAt }) => isoTime(overAt))}::timestamptz[],
      ${sorted.map(({ who }) => JSON.stringify(who))}::text[],
      ${sorted.map(({ chain }) => JSON.stringify(chain))}::text[]
    )
    on conflict (registry, repository, origin) do update
      set over_at = excluded.over_at, state = excluded.state
  `.execute(tx)
  await sql`delete from pulls.chains where registry = ${registry} and over_at < ${isoTime(at)}::timestamptz`.execute(tx)
}

const keyOf = ({ place }: Chain): string => `${place.repository} ${place.origin}`
