/** Named queries for metrics of kind `database`: each answers one row with one column. The ping can show them instead of values. */
export const QUERIES: Readonly<Record<string, string>> = {
  repositories_seen: 'select count(*) from repositories',
  rejected_events: 'select count(*) from rejected_events',
  registries_seen: 'select count(*) from receptions',
}
