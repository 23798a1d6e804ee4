import type { PullsAnswer } from './query-pulls.js'

/**
 * A note with the total of the previous period, for formats that contain only rows: rows grouped by time have no column for the
 * previous period. The response header contains the note in every format.
 */
export const previousNotes = ({ columns, previous }: PullsAnswer): string[] => {
  if (!previous || columns.some((name) => name.startsWith('previous_'))) return []
  const { period, total } = previous
  const numbers = Object.entries(total).map(([name, number]) => `${name} ${number}`)
  return numbers.length === 0 ? [] : [`The period before, ${period.since} to ${period.until}: ${numbers.join(', ')}.`]
}
