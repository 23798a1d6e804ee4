import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'
import type { Outcome } from '../fold/outcome.js'

type Growth = { registry: string; repository: string; invocations: number; pulls: number }

/**
 * Adds to the totals of repositories what outcomes that are about to be kept add to those that are kept: an invocation counts once,
 * and as a pull from its first GET on. Neither number ever falls.
 */
export const growTotals = async (tx: Sql, outcomes: readonly Outcome[]): Promise<void> => {
  const invocations = outcomes.filter((one) => one.what === 'invocation')
  if (invocations.length === 0) return
  const { rows } = await sql<{ id: string; gets: number }>`
    select id, gets from pulls.outcomes where id = any(${invocations.map(({ id }) => id)}::text[])
  `.execute(tx)
  const known = new Map(rows.map(({ id, gets }) => [id, gets]))
  const growths = new Map<string, Growth>()
  for (const { id, registry, repository, gets } of invocations) {
    const before = known.get(id)
    const isNewPull = gets > 0 && (before ?? 0) === 0
    if (before !== undefined && !isNewPull) continue
    const key = `${registry} ${repository}`
    const growth = growths.get(key) ?? { registry, repository, invocations: 0, pulls: 0 }
    if (before === undefined) growth.invocations++
    if (isNewPull) growth.pulls++
    growths.set(key, growth)
  }
  const sorted = [...growths.keys()].sort().flatMap((key) => growths.get(key) ?? [])
  await sql`
    insert into pulls.totals as t (registry, repository, invocations, pulls)
    select * from unnest(
      ${sorted.map(({ registry }) => registry)}::text[], ${sorted.map(({ repository }) => repository)}::text[],
      ${sorted.map(({ invocations: count }) => count)}::bigint[], ${sorted.map(({ pulls }) => pulls)}::bigint[]
    )
    on conflict (registry, repository) do update
      set invocations = t.invocations + excluded.invocations, pulls = t.pulls + excluded.pulls
  `.execute(tx)
}
