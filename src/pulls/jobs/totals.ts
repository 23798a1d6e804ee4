import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'
import type { ToldOutcome } from './fold-batch.js'

type Growth = { registry: string; repository: string; invocations: number; pulls: number }

/**
 * Adds to the totals of repositories what outcomes add to what was kept of them: an invocation counts once, and as a pull from
 * its first GET on. Neither number ever falls.
 */
export const growTotals = async (tx: Sql, outcomes: readonly ToldOutcome[]): Promise<void> => {
  const growths = new Map<string, Growth>()
  for (const { outcome, before } of outcomes) {
    if (outcome.what !== 'invocation') continue
    const { registry, repository, gets } = outcome
    const isNewPull = gets > 0 && (before?.gets ?? 0) === 0
    if (before && !isNewPull) continue
    const key = `${registry} ${repository}`
    const growth = growths.get(key) ?? { registry, repository, invocations: 0, pulls: 0 }
    if (!before) growth.invocations++
    if (isNewPull) growth.pulls++
    growths.set(key, growth)
  }
  if (growths.size === 0) return
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
