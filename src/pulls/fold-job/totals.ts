import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { knownOrNext } from '../../storage/sql/known-number.js'
import type { ChangedOutcome } from './fold-batch.js'

export type Growth = { registry: string; repository: string; invocations: number; pulls: number }

/**
 * The numbers that outcomes add to the totals of repositories. They are written once in each transaction, because each update
 * leaves a dead row.
 */
export type Totals = {
  /** An invocation counts once, and counts as a pull as soon as it has a GET. */
  add: (outcomes: readonly Pick<ChangedOutcome, 'outcome' | 'before'>[]) => void
  /** Adds numbers of new outcomes. */
  grow: (by: Growth) => void
  /** Takes back the numbers of outcomes that were stored, and are replaced. */
  subtract: (of: Growth) => void
  /** Adds the growth to the stored totals. Neither total falls, unless outcomes are replaced by fewer. */
  save: (tx: Sql) => Promise<void>
}

export const createTotals = (): Totals => {
  const growths = new Map<string, Growth>()
  const growthOf = (registry: string, repository: string): Growth => {
    const key = `${registry} ${repository}`
    let growth = growths.get(key)
    if (!growth) growths.set(key, (growth = { registry, repository, invocations: 0, pulls: 0 }))
    return growth
  }
  return {
    add: (outcomes) => {
      for (const { outcome, before } of outcomes) {
        if (outcome.what !== 'invocation') continue
        const { registry, repository, gets } = outcome
        const isNewPull = gets > 0 && (before?.gets ?? 0) === 0
        if (before && !isNewPull) continue
        const growth = growthOf(registry, repository)
        if (!before) growth.invocations++
        if (isNewPull) growth.pulls++
      }
    },
    grow: ({ registry, repository, invocations, pulls }) => {
      const growth = growthOf(registry, repository)
      growth.invocations += invocations
      growth.pulls += pulls
    },
    subtract: ({ registry, repository, invocations, pulls }) => {
      const growth = growthOf(registry, repository)
      growth.invocations -= invocations
      growth.pulls -= pulls
    },
    save: async (tx) => {
      const sorted = [...growths.keys()].sort().flatMap((key) => growths.get(key) ?? [])
      if (sorted.length === 0) return
      await sql`
        insert into pulls.totals as t (number, registry, repository, invocations, pulls) overriding system value
        select ${sql.raw(knownOrNext('known.number', 'pulls.totals_number_seq'))}, grown.*
        from unnest(
          ${sorted.map(({ registry }) => registry)}::text[], ${sorted.map(({ repository }) => repository)}::text[],
          ${sorted.map(({ invocations: count }) => count)}::bigint[], ${sorted.map(({ pulls }) => pulls)}::bigint[]
        ) as grown (registry, repository, invocations, pulls)
          left join lateral (
            select number from pulls.totals where registry = grown.registry and repository = grown.repository offset 0
          ) known on true
        order by grown.registry, grown.repository
        on conflict (registry, repository) do update
          set invocations = t.invocations + excluded.invocations, pulls = t.pulls + excluded.pulls
      `.execute(tx)
    },
  }
}
