import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Erasure } from '../erasures/noted-erasures.js'
import type { Sql } from '../../storage/sql/database.js'
import { chainIn, textOf } from '../fold-job/chain-text.js'
import type { StoredChain } from '../fold-job/chains.js'
import { createShare } from '../fold-job/share.js'

/** What the fold of a day leaves for the next day. */
export type DayState = {
  chains: StoredChain[]
  /** The last day of which the log contains a request for a blob. */
  blobsOn?: string
}

/** A day whose segments have changed since it was folded. @property changes how often, as text */
export type ChangedDay = { registry: string; day: string; changes: string }

type Stored = { blobsOn?: string; chains: [repository: string, origin: string, who: string, chain: string][] }

/** A state as text. Equal states have equal texts. */
export const textOfState = ({ chains, blobsOn }: DayState): string => {
  const stored: Stored = {
    ...(blobsOn !== undefined && { blobsOn }),
    chains: chains
      .map(({ chain, who }): Stored['chains'][number] => [chain.key.repository, chain.key.origin, who, textOf(chain)])
      .sort(([a, b], [c, d]) => (a < c || (a === c && b < d) ? -1 : 1)),
  }
  return JSON.stringify(stored)
}

/** Reads what `textOfState` wrote. */
export const stateIn = (text: string, registry: string): DayState => {
  const { blobsOn, chains } = JSON.parse(text) as Stored
  const share = createShare()
  return {
    ...(blobsOn !== undefined && { blobsOn }),
    chains: chains.map(([repository, origin, who, chain]) => ({
      chain: chainIn(chain, { registry, repository, origin }, share),
      who,
    })),
  }
}

/** The state at the end of the last folded day before a day. */
export const stateBefore = async (tx: Sql, registry: string, day: string): Promise<DayState> => {
  const { rows } = await sql<{ state: string }>`
    select state from pulls.segment_days
    where registry = ${registry} and day < ${day}::date and state is not null order by day desc limit 1
  `.execute(tx)
  return rows[0] ? stateIn(rows[0].state, registry) : { chains: [] }
}

/** The state that the last fold of a day left; undefined if the day was never folded. */
export const stateOf = async (tx: Sql, registry: string, day: string): Promise<string | undefined> => {
  const { rows } = await sql<{ state: string | null }>`
    select state from pulls.segment_days where registry = ${registry} and day = ${day}::date
  `.execute(tx)
  return rows[0]?.state ?? undefined
}

/** Stores that a day is folded. @param isNew whether the next day must be folded again */
export const setFolded = async (
  tx: Sql,
  { registry, day, changes }: ChangedDay,
  { state, isNew }: { state: string; isNew: boolean },
): Promise<void> => {
  await sql`
    update pulls.segment_days set folded_changes = ${changes}::bigint, state = ${state}
    where registry = ${registry} and day = ${day}::date
  `.execute(tx)
  if (!isNew) return
  await sql`
    update pulls.segment_days set changes = changes + 1
    where registry = ${registry} and day = (
      select min(day) from pulls.segment_days where registry = ${registry} and day > ${day}::date
    )
  `.execute(tx)
}

/** The roll-up reads how far the requests of a registry go. */
export const setFoldedTo = async (tx: Sql, registry: string, latest: Micros): Promise<void> => {
  await sql`
    update pulls.registries set folded_to = greatest(folded_to, ${isoTime(latest)}::timestamptz)
    where registry = ${registry} and not exists (select from pulls.pending where registry = ${registry})
  `.execute(tx)
}

/** The text of a state without the chains that an erasure names: the same text if there are none. */
export const stateWithout = (text: string, { origin, repository }: Pick<Erasure, 'origin' | 'repository'>): string => {
  const { chains, ...rest } = JSON.parse(text) as Stored
  const kept = chains.filter(
    ([ownRepository, ownOrigin]) =>
      (repository !== undefined && ownRepository !== repository) || (origin !== undefined && ownOrigin !== origin),
  )
  return kept.length === chains.length ? text : JSON.stringify({ ...rest, chains: kept } satisfies Stored)
}
