/** Named queries for metrics of kind `database`: each answers one row with one column. The ping can show them instead of values. */
export const QUERIES: Readonly<Record<string, string>> = {
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
  inventory_deletions_28d: `
    select count(*) from inventory.changes
    where action <> 'push' and at < date_trunc('week', now(), 'UTC') and at >= date_trunc('week', now(), 'UTC') - interval '28 days'`,
}
