import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import { arrayText } from '../../storage/sql/array-text.js'
import { awaitedByCommit, type Sql } from '../../storage/sql/database.js'
import { overAt } from '../fold/chain.js'
import type { Chain } from '../fold/state.js'
import type { JoinWindows } from '../model/join-windows.js'
import { chainIn, textOf } from './chain-text.js'
import type { Share } from './share.js'

/** A chain as a row of `pulls.chains` contains it between two runs, with a `Who` of its origin as text. */
export type StoredChain = { chain: Chain; who: string }

type StoredKey = { repository: string; origin: string }

/** Chains that one statement writes. To serialize them takes a few milliseconds, in which the process does nothing else. */
const CHAINS_AT_ONCE = 500

/** Loads chains of one registry that requests may continue. */
export const loadChains = async (
  tx: Sql,
  registry: string,
  { wanted, share }: { wanted: readonly StoredKey[]; share: Share },
): Promise<StoredChain[]> => {
  const { rows } = await sql<StoredKey & { who: string; state: string }>`
    select c.repository, c.origin, c.who, c.state
    from unnest(${arrayText(wanted.map(({ repository }) => repository))}::text[], ${arrayText(wanted.map(({ origin }) => origin))}::text[])
      as wanted (repository, origin)
      cross join lateral (
        select repository, origin, who, state from pulls.chains
        where registry = ${registry} and repository = wanted.repository and origin = wanted.origin offset 0
      ) c
  `.execute(tx)
  return rows.map(({ repository, origin, who, state }) => ({
    chain: chainIn(state, { registry, repository: share(repository), origin }, share),
    who: share(who),
  }))
}

/** Stores the chains of one registry that later requests may continue. */
export const saveChains = async (
  tx: Sql,
  registry: string,
  { chains, windows }: { chains: readonly StoredChain[]; windows: JoinWindows },
): Promise<void> => {
  const sorted = chains
    .map((stored) => ({ ...stored, overAt: overAt(stored.chain, windows) }))
    .filter(({ overAt: end }) => Number.isFinite(end))
    .sort((a, b) => (isBefore(a.chain, b.chain) ? -1 : 1))
  let written = Promise.resolve()
  for (let from = 0; from < sorted.length; from += CHAINS_AT_ONCE) {
    const writing = awaitedByCommit(write(tx, registry, sorted.slice(from, from + CHAINS_AT_ONCE)))
    await written
    written = writing
  }
  await written
}

/** JSON contains no line feeds, so the texts are joined by them. An array literal would escape each quote. */
const write = async (tx: Sql, registry: string, some: readonly (StoredChain & { overAt: Micros })[]): Promise<void> => {
  await sql`
    insert into pulls.chains (registry, repository, origin, over_at, who, state)
    select ${registry}, * from unnest(
      ${arrayText(some.map(({ chain }) => chain.key.repository))}::text[],
      ${arrayText(some.map(({ chain }) => chain.key.origin))}::text[],
      ${arrayText(some.map(({ overAt }) => isoTime(overAt)))}::timestamptz[],
      string_to_array(${some.map(({ who }) => who).join('\n')}, E'\\n'),
      string_to_array(${some.map(({ chain }) => textOf(chain)).join('\n')}, E'\\n')
    )
    on conflict (registry, repository, origin) do update
      set over_at = excluded.over_at, state = excluded.state
  `.execute(tx)
}

const isBefore = ({ key: a }: Chain, { key: b }: Chain): boolean =>
  a.repository < b.repository || (a.repository === b.repository && a.origin < b.origin)

/** Deletes the chains that no request after a moment can continue. */
export const deleteClosedChains = async (tx: Sql, registry: string, at: Micros): Promise<void> => {
  await sql`delete from pulls.chains where registry = ${registry} and over_at < ${isoTime(at)}::timestamptz`.execute(tx)
}
