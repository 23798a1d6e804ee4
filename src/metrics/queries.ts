type Query = string | ((now: Date) => string)

/** Named queries for metrics of kind `database`: each answers one row with one column. The ping can show them instead of values. */
export const QUERIES: Readonly<Record<string, Query>> = {
  repositories_seen: 'select count(*) from repositories',
  rejected_events: 'select count(*) from rejected_events',
  registries_seen: 'select count(*) from receptions',

  // From the summary of the inventory: to add up everything takes too long for a ping.
  inventory_repositories: 'select coalesce(max(repositories), 0) from inventory.totals',
  inventory_tags: 'select coalesce(max(tags), 0) from inventory.totals',
  inventory_manifests: 'select coalesce(max(manifests), 0) from inventory.totals',
  inventory_blobs: 'select coalesce(max(blobs), 0) from inventory.totals',
  inventory_bytes: 'select coalesce(max(bytes), 0) from inventory.totals',

  // The last four complete ISO weeks, UTC.
  inventory_deletions_28d: (now) => {
    const week = `date_trunc('week', timestamptz '${now.toISOString()}', 'UTC')`
    // Hours: days are longer or shorter in a session whose time zone has summer time.
    return `
    select count(*) from inventory.changes
    where action <> 'push' and at < ${week} and at >= ${week} - interval '672 hours'`
  },
}

/** The SQL of a query at a time; undefined if no query has this name. */
export const queryText = (name: string, now: Date): string | undefined => {
  const query = QUERIES[name]
  return typeof query === 'function' ? query(now) : query
}
