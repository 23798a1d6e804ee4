import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'
import type { Chain } from '../fold/state.js'
import type { Windows } from '../fold/windows.js'
import type { Move } from './both-registries.js'
import { createByAsker, type Asker } from './by-asker.js'
import { loadChains, saveChains } from './chains.js'
import { createShare } from './share.js'

/** Chains that are united in one go. */
const AT_ONCE = 500

/** Moves the chains of a registry. Where an origin has one in the same repository of the other, both become one. */
export const moveChains = async (tx: Sql, { from, to }: Move, windows: Windows): Promise<void> => {
  const { rows } = await sql<Asker>`
    select repository, origin from pulls.chains a where registry = ${from} and exists (
      select from pulls.chains n where n.registry = ${to} and n.repository = a.repository and n.origin = a.origin
    )
  `.execute(tx)
  for (let first = 0; first < rows.length; first += AT_ONCE)
    await unite(tx, { from, to }, { askers: rows.slice(first, first + AT_ONCE), windows })
  await sql`
    delete from pulls.chains a using pulls.chains n
    where a.registry = ${from} and n.registry = ${to} and n.repository = a.repository and n.origin = a.origin
  `.execute(tx)
  await sql`update pulls.chains set registry = ${to} where registry = ${from}`.execute(tx)
}

const unite = async (
  tx: Sql,
  { from, to }: Move,
  { askers, windows }: { askers: readonly Asker[]; windows: Windows },
): Promise<void> => {
  const needs = { wanted: askers, share: createShare() }
  const others = createByAsker<Chain>()
  for (const { chain } of await loadChains(tx, from, needs)) others.set(chain.place, chain)
  const chains = (await loadChains(tx, to, needs)).map(({ chain, who }) => {
    const other = others.get(chain.place)
    return { chain: other ? united(chain, other, windows) : chain, who }
  })
  await saveChains(tx, to, { chains, windows })
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
