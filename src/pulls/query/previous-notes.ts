import type { PullsAnswer } from './query-pulls.js'

/**
 * The total of the period before, for formats that have the rows alone: rows of times have no column for it. For the header of
 * every format, as that of a whole answer.
 */
export const previousNotes = ({ columns, previous }: PullsAnswer): string[] => {
  if (!previous || columns.some((name) => name.startsWith('previous_'))) return []
  const { period, total } = previous
  const numbers = Object.entries(total).map(([name, number]) => `${name} ${number}`)
  return numbers.length === 0 ? [] : [`The period before, ${period.since} to ${period.until}: ${numbers.join(', ')}.`]
}
