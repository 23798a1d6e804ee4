import type { MetricTimeFrame } from './definition.js'

/** A query that returns one number, and the time frames over which it counts. Its text may depend on the time. */
export type MetricQuery = { text: string | ((now: Date) => string); timeFrames: readonly MetricTimeFrame[] }

/** A query that counts stored rows: all since counting began, which are also all current rows. */
const stored = (text: string): MetricQuery => ({ text, timeFrames: ['all', 'none'] })

/** Queries by name, for metrics of the source `database`. The ping can show their text instead of values. */
export const QUERIES: Readonly<Record<string, MetricQuery>> = {
  repositories_seen: stored('select count(*) from repositories'),
  rejected_events: stored('select count(*) from rejected_events'),
  registries_seen: stored('select count(*) from receptions'),

  // From the summary of the inventory, because summing all rows takes too long for a ping. Unknown before the first summary.
  inventory_repositories: stored('select max(repositories) from inventory.totals'),
  inventory_tags: stored('select max(tags) from inventory.totals'),
  inventory_manifests: stored('select max(manifests) from inventory.totals'),
  inventory_blobs: stored('select max(blobs) from inventory.totals'),
  inventory_bytes: stored('select max(bytes) from inventory.totals'),
  // What the sums above do not include: if one of these numbers is not 0, blobs and bytes are lower bounds.
  inventory_unknown_contents: stored('select max(unknown_contents) from inventory.totals'),
  inventory_unknown_sizes: stored('select max(unknown_sizes) from inventory.totals'),

  // The last four complete ISO weeks, UTC.
  inventory_deletions_28d: {
    text: (now) => {
      const week = `date_trunc('week', timestamptz '${now.toISOString()}', 'UTC')`
      // In hours, because a day may have 23 or 25 hours in a session whose time zone has daylight-saving time.
      return `
    select count(*) from inventory.changes
    where action <> 'push' and at < ${week} and at >= ${week} - interval '672 hours'`
    },
    timeFrames: ['28d'],
  },
}

/** The SQL text of a query, for the given time; undefined if no query has this name. */
export const queryText = (name: string, now: Date): string | undefined => {
  const text = QUERIES[name]?.text
  return typeof text === 'function' ? text(now) : text
}
