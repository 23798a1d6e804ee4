import type { Rules } from './rules.js'

/**
 * Why the unique users of events cannot be counted, as a sentence about the first event that has none.
 * @returns undefined if all events have unique users
 */
export const notUnique = ({ events }: Pick<Rules, 'events'>, names: readonly string[]): string | undefined => {
  const name = names.find((one) => !events.get(one)?.unique)
  if (name === undefined) return undefined
  return events.has(name)
    ? `"${name}" is an event with a total and without unique users; "tallyman ping" shows totals`
    : `"${name}" is not an event with unique users; "tallyman metrics docs" and docs/metrics.md list the events`
}
