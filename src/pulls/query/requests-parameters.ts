import { MICROS_PER_DAY, microsOf, startOfDay, utcDay, type Micros } from '../../events/calendar.js'
import { isStorableText } from '../../events/storable-text.js'
import { addDays, isDay } from '../model/period.js'
import { digestValue, PullsError, wholeNumber } from './parameters.js'

/** A query for single requests, with all defaults filled in. */
export type RequestsQuery = {
  filters: RequestFilters
  /** The first moment, and the first one after the last. */
  from: Micros
  to: Micros
  limit: number
  /** The last request of the previous page. */
  after?: RequestKey
  /** Counts requests by these columns instead of listing them. */
  groupBy: RequestGroup[]
}

/** The values that requests must have. A repository, tag or digest that ends in `*` is a prefix. */
export type RequestFilters = {
  registries?: readonly string[]
  repository?: string
  tag?: string
  digest?: string
  origin?: string
}

const GROUPS = ['day', 'repository'] as const
type RequestGroup = (typeof GROUPS)[number]

/** The position of a request among all: by its time, and then by where it is stored. */
export type RequestKey = {
  at: Micros
  isImported: boolean
  number: number
  /** In its segment; 0 if it is not imported. */
  row: number
}

const NAMES = ['registry', 'repository', 'tag', 'digest', 'origin'] as const
export const REQUEST_PARAMETERS = [...NAMES, 'since', 'until', 'group_by', 'limit', 'after'] as const
/** The days before today that a query without `since` reads. */
const DEFAULT_DAYS = 28
const DEFAULT_ROWS = 100
const MAX_ROWS = 10_000
const LONGEST = 300

/** Positive if a request comes after another one: the newest requests come first. */
export const compareKeys = (a: RequestKey, b: RequestKey): number =>
  b.at - a.at || Number(a.isImported) - Number(b.isImported) || b.number - a.number || b.row - a.row

/** The text of a position, for `after`. */
export const cursorOf = ({ at, isImported, number, row }: RequestKey): string =>
  [at, Number(isImported), number, row].join('.')

const keyIn = (text: string): RequestKey => {
  const [, at, isImported, number, row] = /^(\d{1,16})\.([01])\.(\d{1,15})\.(\d{1,10})$/.exec(text) ?? []
  if (at === undefined) throw new PullsError('after: expected the value of next in the previous answer')
  return { at: Number(at), isImported: isImported === '1', number: Number(number), row: Number(row) }
}

/**
 * Parses a query from its parameters, as a query string contains them. Days are days in UTC.
 * @throws PullsError
 */
export const parseRequestsQuery = (parameters: Readonly<Record<string, unknown>>, now: Date): RequestsQuery => {
  const texts: Partial<Record<(typeof REQUEST_PARAMETERS)[number], string>> = {}
  for (const [name, value] of Object.entries(parameters)) {
    const known = REQUEST_PARAMETERS.find((one) => one === name)
    if (known === undefined)
      throw new PullsError(`"${name.slice(0, 40)}" is not a parameter; expected ${REQUEST_PARAMETERS.join(', ')}`)
    if (typeof value !== 'string' || value === '') throw new PullsError(`${name}: expected one value`)
    if (value.length > LONGEST) throw new PullsError(`${name}: expected at most ${LONGEST} characters`)
    if (!isStorableText(value)) throw new PullsError(`${name}: contains characters that no name has`)
    texts[known] = value
  }
  const { registry, repository, tag, digest, origin, limit = String(DEFAULT_ROWS), after, group_by } = texts
  const today = utcDay(microsOf(now))
  const { since = addDays(today, -DEFAULT_DAYS), until = today } = texts
  const [from, last] = [momentOf('since', since), momentOf('until', until)]
  if (last < from) throw new PullsError('until: expected a day that is not before since')
  if (after !== undefined && group_by !== undefined) throw new PullsError('after: expected no group_by beside it')
  return {
    filters: {
      ...(registry !== undefined && { registries: [registry] }),
      ...(repository !== undefined && { repository }),
      ...(tag !== undefined && { tag }),
      ...(digest !== undefined && { digest: digestValue(digest) }),
      ...(origin !== undefined && { origin }),
    },
    ...{ from, to: last + MICROS_PER_DAY, limit: wholeNumber('limit', limit, MAX_ROWS) },
    ...(after !== undefined && { after: keyIn(after) }),
    groupBy: groupsIn(group_by),
  }
}

/**
 * Replaces the registry of a query by the names under which its requests may be recorded.
 * @param valuesOf throws if there is no such registry
 */
export const withRecordedNames = async (
  query: RequestsQuery,
  valuesOf: (given: readonly string[]) => Promise<string[]>,
): Promise<RequestsQuery> => {
  const { registries } = query.filters
  return registries ? { ...query, filters: { ...query.filters, registries: await valuesOf(registries) } } : query
}

const momentOf = (name: string, day: string): Micros => {
  const moment = isDay(day) ? startOfDay(day) : undefined
  if (moment !== undefined) return moment
  throw new PullsError(
    `${name}: "${day.slice(0, 40)}" is not a day from 1970 to 2999; expected a day such as 2026-03-10`,
  )
}

const groupsIn = (text = ''): RequestGroup[] => {
  const wanted = text.split(',').filter((one) => one !== '')
  const unknown = wanted.find((one) => !GROUPS.some((group) => group === one))
  if (unknown !== undefined)
    throw new PullsError(`group_by: "${unknown.slice(0, 40)}" is not known, expected ${GROUPS.join(', ')}`)
  return GROUPS.filter((group) => wanted.includes(group))
}

/** Whether a value is the wanted one, or begins with it if that ends in `*`. */
export const isWanted = (value: string | undefined, wanted: string | undefined): boolean =>
  wanted === undefined ||
  (value !== undefined && (wanted.endsWith('*') ? value.startsWith(wanted.slice(0, -1)) : value === wanted))
