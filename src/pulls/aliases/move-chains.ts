import { sql } from 'kysely'
import { isoTime } from '../../events/calendar.js'
import { arrayText } from '../../storage/sql/array-text.js'
import type { Sql } from '../../storage/sql/database.js'
import type { Chain } from '../fold/state.js'
import type { JoinWindows } from '../model/join-windows.js'
import type { AliasMove } from './alias-move.js'
import { createByOrigin, type OriginKey } from '../fold-job/by-origin.js'
import { loadChains, saveChains, type StoredChain } from '../fold-job/chains.js'
import { createShare } from '../fold-job/share.js'

/** Origins whose chains one transaction moves. */
const ORIGINS_AT_ONCE = 500

type Portion = { windows: JoinWindows; border: string; most: number }

/**
 * Moves some origins: their pending requests, their chains, and the outcomes that a chain may still change, so that the fold finds all
 * of them under one name. If an origin has a chain under both names in the same repository, the chains are merged.
 * @param border the first day that is not rolled up; an outcome of an earlier day is moved with its day
 * @returns the number of moved rows: 0 if no chain is left
 */
export const moveChains = async (tx: Sql, move: AliasMove, { windows, border, most }: Portion): Promise<number> => {
  const { from, to } = move
  const { rows: first } = await sql<OriginKey>`
    select repository, origin from pulls.chains where registry = ${from}
    order by repository, origin limit ${Math.min(ORIGINS_AT_ONCE, most)}
  `.execute(tx)
  if (first.length === 0) return 0
  const origins = await withOtherNames(tx, from, first)
  const deps = { wanted: origins, share: createShare() }
  const chains = await loadChains(tx, from, deps)
  const others = await loadChains(tx, to, deps)
  await saveChains(tx, to, { chains: mergeChains(others, chains, windows), windows })
  await sql`
    delete from pulls.chains a using pulls.chains n, ${listOf(origins)}
    where a.registry = ${from} and a.repository = asker.repository and a.origin = asker.origin
      and n.registry = ${to} and n.repository = a.repository and n.origin = a.origin
  `.execute(tx)
  await sql`
    update pulls.chains a set registry = ${to} from ${listOf(origins)}
    where a.registry = ${from} and a.repository = asker.repository and a.origin = asker.origin
  `.execute(tx)
  await moveOpen(tx, move, { chains, border, most })
  return origins.length + (await movePendingOf(tx, move, origins))
}

/**
 * Moves pending requests of some origins without a chain, all requests of each origin. It runs when no chain is left.
 * @returns the number of moved rows
 */
export const movePending = async (tx: Sql, move: AliasMove, most: number): Promise<number> => {
  const { rows: origins } = await sql<OriginKey>`
    select distinct repository, origin from (
      select repository, origin from pulls.pending where registry = ${move.from} order by at limit ${most}
    ) oldest
  `.execute(tx)
  return origins.length === 0 ? 0 : movePendingOf(tx, move, await withOtherNames(tx, move.from, origins))
}

/**
 * Adds the names of the origins under other salts, if a pending request contains both names: such a request continues the chain of the
 * previous name.
 */
const withOtherNames = async (tx: Sql, registry: string, origins: readonly OriginKey[]): Promise<OriginKey[]> => {
  const all = createByOrigin<OriginKey>()
  for (const key of origins) all.set(key, key)
  for (let known = 0; known < all.size();) {
    known = all.size()
    const { rows } = await sql<OriginKey & { previous: string }>`
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

const listOf = (origins: readonly OriginKey[]) => sql`unnest(
  ${arrayText(origins.map(({ repository }) => repository))}::text[], ${arrayText(origins.map(({ origin }) => origin))}::text[]
) as asker (repository, origin)`

const movePendingOf = async (tx: Sql, { from, to }: AliasMove, origins: readonly OriginKey[]): Promise<number> => {
  const { numAffectedRows } = await sql`
    update pulls.pending p set registry = ${to} from ${listOf(origins)}
    where p.registry = ${from} and p.repository = asker.repository and p.origin = asker.origin
  `.execute(tx)
  return Number(numAffectedRows ?? 0)
}

/** Moves the outcomes that chains may still change. */
const moveOpen = async (
  tx: Sql,
  { from, to }: AliasMove,
  { chains, border, most }: { chains: readonly StoredChain[]; border: string; most: number },
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

/** Merges each chain with the moved chain of the same key, if there is one. @param moved the chains of the alias */
const mergeChains = (
  chains: readonly StoredChain[],
  moved: readonly StoredChain[],
  windows: JoinWindows,
): StoredChain[] => {
  const others = createByOrigin<Chain>()
  for (const { chain } of moved) others.set(chain.key, chain)
  return chains.map(({ chain, who }) => {
    const other = others.get(chain.key)
    return { chain: other ? mergePair(chain, other, windows) : chain, who }
  })
}

/** Merges two chains: all open invocations and artifact fetches stay open. Of two sessions without a manifest, the older one closes. */
const mergePair = (one: Chain, other: Chain, windows: JoinWindows): Chain => {
  const lastAt = Math.max(one.lastAt ?? -Infinity, other.lastAt ?? -Infinity)
  const orphan = [one.orphan, other.orphan].reduce((a, b) => (a && b ? (a.active < b.active ? b : a) : (a ?? b)))
  return {
    key: one.key,
    open: [...one.open, ...other.open].sort((a, b) => a.at - b.at),
    artifacts: [...one.artifacts, ...other.artifacts].sort((a, b) => a.at - b.at),
    awaitsSession: awaitsSession(one, other, windows),
    requests: [...one.requests, ...other.requests],
    quietUntil: 0,
    ...(Number.isFinite(lastAt) && { lastAt }),
    ...(orphan && { orphan }),
  }
}

/** The value of the later chain; but if both belong to one session, an invocation of either has begun it. */
const awaitsSession = (one: Chain, other: Chain, { session }: JoinWindows): boolean => {
  const [earlier, later] = (one.lastAt ?? -Infinity) < (other.lastAt ?? -Infinity) ? [one, other] : [other, one]
  const isSameSession = (later.lastAt ?? -Infinity) - (earlier.lastAt ?? -Infinity) <= session
  return later.awaitsSession && (!isSameSession || earlier.awaitsSession)
}
