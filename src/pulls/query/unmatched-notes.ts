import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { unknownRepository } from '../../inventory/questions/unknown-repository.js'
import type { PullsQuery } from './parameters.js'

/** The filters of a query; dimensions with a closed list of values were checked before. */
type Filters = PullsQuery['filters']

/** Maximum number of values that a note repeats. */
const MAX_VALUES = 3

/**
 * Notes on an answer without numbers: a filter may be misspelt. Repositories are looked up; whether a tag or a client exists cannot
 * be proved.
 */
export const unmatchedNotes = async (db: Sql, filters: Filters): Promise<string[]> => {
  if (filters.length === 0) return []
  const notes = [`There are no numbers for ${filters.map(filterText).join(', ')} in this period; check the spelling.`]
  const names = filters
    .filter(({ dimension }) => dimension === 'repository')
    .flatMap(({ values }) => values.filter((value) => !value.endsWith('*')))
  if (names.length === 0) return notes
  const { rows } = await sql<{ name: string }>`
    select distinct name from inventory.repositories where name = any(${names}::text[])
  `.execute(db)
  const unknown = names.filter((name) => !rows.some((row) => row.name === name))
  return [...notes, ...unknown.slice(0, MAX_VALUES).map(unknownRepository)]
}

const filterText = ({ dimension, values }: Filters[number]): string => {
  const more = values.length > MAX_VALUES ? ` or ${values.length - MAX_VALUES} more` : ''
  return `${dimension} ${values
    .slice(0, MAX_VALUES)
    .map((value) => `"${value}"`)
    .join(' or ')}${more}`
}
