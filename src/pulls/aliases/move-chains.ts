import { sql } from 'kysely'
import { isoTime } from '../../events/calendar.js'
import { arrayText } from '../../storage/sql/array-text.js'
import type { Sql } from '../../storage/sql/database.js'
import type { Chain } from '../fold/state.js'
import type { Windows } from '../model/join-windows.js'
import type { Move } from './both-registries.js'
import { createByAsker, type Asker } from '../fold-job/by-asker.js'
import { loadChains, saveChains, type KeptChain } from '../fold-job/chains.js'
import { createShare } from '../fold-job/share.js'

/** Askers whose chains are moved in one go. */
const AT_ONCE = 500

type Portion = { windows: Windows; border: string; most: number }

/**
 * Moves some askers: what each of them has pending, its chain, and the outcomes that its chain may change yet, so that the fold finds all of
 * it under one name. If an origin has a chain in the same repository of the other registry, both become one.
 * @param border the first day that is not rolled up; an outcome of an earlier day goes with its day
 * @returns how many rows were moved: none if no chain is left
 */
export const moveChains = async (tx: Sql, move: Move, { windows, border, most }: Portion): Promise<number> => {
  const { from, to } = move
  const { rows: first } = await sql<Asker>`
    select repository, origin from pulls.chains where registry = ${from}
    order by repository, origin limit ${Math.min(AT_ONCE, most)}
  `.execute(tx)
  if (first.length === 0) return 0
  const askers = await withOtherNames(tx, from, first)
  const needs = { wanted: askers, share: createShare() }
  const chains = await loadChains(tx, from, needs)
  const others = await loadChains(tx, to, needs)
  await saveChains(tx, to, { chains: unite(others, chains, windows), windows })
  await sql`
    delete from pulls.chains a using pulls.chains n, ${listOf(askers)}
    where a.registry = ${from} and a.repository = asker.repository and a.origin = asker.origin
      and n.registry = ${to} and n.repository = a.repository and n.origin = a.origin
  `.execute(tx)
  await sql`
    update pulls.chains a set registry = ${to} from ${listOf(askers)}
    where a.registry = ${from} and a.repository = asker.repository and a.origin = asker.origin
  `.execute(tx)
  await moveOpen(tx, move, { chains, border, most })
  return askers.length + (await movePendingOf(tx, move, askers))
}

/**
 * Moves some of what is pending of askers without a chain: all of an asker. No chain is left by then.
 * @returns how many rows were moved
 */
export const movePending = async (tx: Sql, move: Move, most: number): Promise<number> => {
  const { rows: askers } = await sql<Asker>`
    select distinct repository, origin from (
      select repository, origin from pulls.pending where registry = ${move.from} order by at limit ${most}
    ) oldest
  `.execute(tx)
  return askers.length === 0 ? 0 : movePendingOf(tx, move, await withOtherNames(tx, move.from, askers))
}

/**
 * Adds the names that the askers have under other salts, as far as requests that wait say so: such a request goes on with the chain of
 * the previous name.
 */
const withOtherNames = async (tx: Sql, registry: string, askers: readonly Asker[]): Promise<Asker[]> => {
  const all = createByAsker<Asker>()
  for (const asker of askers) all.set(asker, asker)
  for (let known = 0; known < all.size();) {
    known = all.size()
    const { rows } = await sql<Asker & { previous: string }>`
      with renamed as materialized (
        select distinct repository, origin, request::jsonb ->> 'previous' as previous from pulls.pending
        where registry = ${registry} and strpos(request, '"previous"') > 0
      ), asker as materialized (select repository, origin from ${listOf(all.values())})
      select repository, origin, previous from renamed p
      where previous is not null and (
        (p.repository, p.origin) in (select repository, origin from asker)
        or (p.repository, p.previous) in (select repository, origin from asker)
      )
    `.execute(tx)
    for (const { repository, origin, previous } of rows)
      for (const name of [origin, previous]) all.set({ repository, origin: name }, { repository, origin: name })
  }
  return all.values()
}

const listOf = (askers: readonly Asker[]) => sql`unnest(
  ${arrayText(askers.map(({ repository }) => repository))}::text[], ${arrayText(askers.map(({ origin }) => origin))}::text[]
) as asker (repository, origin)`

const movePendingOf = async (tx: Sql, { from, to }: Move, askers: readonly Asker[]): Promise<number> => {
  const { numAffectedRows } = await sql`
    update pulls.pending p set registry = ${to} from ${listOf(askers)}
    where p.registry = ${from} and p.repository = asker.repository and p.origin = asker.origin
  `.execute(tx)
  return Number(numAffectedRows ?? 0)
}

/** Moves the outcomes that chains may change yet. */
const moveOpen = async (
  tx: Sql,
  { from, to }: Move,
  { chains, border, most }: { chains: readonly KeptChain[]; border: string; most: number },
): Promise<void> => {
  const open = chains.flatMap(({ chain }) => [
    ...chain.open,
    ...chain.artifacts,
    ...(chain.orphan ? [chain.orphan] : []),
  ])
  for (let first = 0; first < open.length; first += most) {
    const some = open.slice(first, first + most)
    await sql`
      update pulls.outcomes o set registry = ${to}
      from unnest(
        ${arrayText(some.map(({ repository }) => repository))}::text[],
        ${arrayText(some.map(({ at }) => isoTime(at)))}::timestamptz[], ${arrayText(some.map(({ id }) => id))}::text[]
      ) as open (repository, at, id)
      where o.registry = ${from} and o.repository = open.repository and o.at = open.at and o.id = open.id
        and o.at >= (${border}::date::timestamp at time zone 'UTC')
    `.execute(tx)
  }
}

/** @returns the chains of which there are two, as one each */
const unite = (chains: readonly KeptChain[], moved: readonly KeptChain[], windows: Windows): KeptChain[] => {
  const others = createByAsker<Chain>()
  for (const { chain } of moved) others.set(chain.place, chain)
  return chains.map(({ chain, who }) => {
    const other = others.get(chain.place)
    return { chain: other ? united(chain, other, windows) : chain, who }
  })
}

/** What either has open goes on. Of two sessions of layers the older one ends. */
const united = (one: Chain, other: Chain, windows: Windows): Chain => {
  const heard = Math.max(one.heard ?? -Infinity, other.heard ?? -Infinity)
  const orphan = [one.orphan, other.orphan].reduce((a, b) => (a && b ? (a.active < b.active ? b : a) : (a ?? b)))
  return {
    place: one.place,
    open: [...one.open, ...other.open].sort((a, b) => a.at - b.at),
    artifacts: [...one.artifacts, ...other.artifacts].sort((a, b) => a.at - b.at),
    awaitsSession: awaitsSession(one, other, windows),
    requests: [...one.requests, ...other.requests],
    quietUntil: 0,
    ...(Number.isFinite(heard) && { heard }),
    ...(orphan && { orphan }),
  }
}

/** As the later of both says, unless the earlier one belongs to the same session. */
const awaitsSession = (one: Chain, other: Chain, { session }: Windows): boolean => {
  const [earlier, later] = (one.heard ?? -Infinity) < (other.heard ?? -Infinity) ? [one, other] : [other, one]
  const isSameSession = (later.heard ?? -Infinity) - (earlier.heard ?? -Infinity) <= session
  return later.awaitsSession && (!isSameSession || earlier.awaitsSession)
}
