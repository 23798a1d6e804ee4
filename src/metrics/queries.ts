import type { MetricTimeFrame } from './definition.js'

/** A query of one row with one column, a number, and the time frames that it counts over. Its text may depend on the time. */
export type Query = { text: string | ((now: Date) => string); timeFrames: readonly MetricTimeFrame[] }

/** What a query counts that reads what is stored: since counting began, which is also what there is now. */
const stored = (text: string): Query => ({ text, timeFrames: ['all', 'none'] })

/** Named queries for metrics of kind `database`. The ping can show them instead of values. */
export const QUERIES: Readonly<Record<string, Query>> = {
  repositories_seen: stored('select count(*) from repositories'),
  rejected_events: stored('select count(*) from rejected_events'),
  registries_seen: stored('select count(*) from receptions'),

  // From the summary of the inventory: to add up everything takes too long for a ping. Before the first one nothing is known.
  inventory_repositories: stored('select max(repositories) from inventory.totals'),
  inventory_tags: stored('select max(tags) from inventory.totals'),
  inventory_manifests: stored('select max(manifests) from inventory.totals'),
  inventory_blobs: stored('select max(blobs) from inventory.totals'),
  inventory_bytes: stored('select max(bytes) from inventory.totals'),
  // What the sums above lack: where one of these is more than 0, blobs and bytes are at least what they say.
  inventory_unknown_contents: stored('select max(unknown_contents) from inventory.totals'),
  inventory_unknown_sizes: stored('select max(unknown_sizes) from inventory.totals'),

  // The last four complete ISO weeks, UTC.
  inventory_deletions_28d: {
    text: (now) => {
      const week = `date_trunc('week', timestamptz '${now.toISOString()}', 'UTC')`
      // Hours: days are longer or shorter in a session whose time zone has summer time.
      return `
    select count(*) from inventory.changes
    where action <> 'push' and at < ${week} and at >= ${week} - interval '672 hours'`
    },
    timeFrames: ['28d'],
  },
}

/** The SQL of a query at a time; undefined if no query has this name. */
export const queryText = (name: string, now: Date): string | undefined => {
  const text = QUERIES[name]?.text
  return typeof text === 'function' ? text(now) : text
}
