import { isTimeZone, microsOf, type Micros } from '../../events/calendar.js'
import { DIGEST_ALGORITHMS, isDigest } from '../../events/reference.js'
import { isStorableText } from '../../events/storable-text.js'
import { DIMENSION_NAMES, DIMENSIONS, type DimensionName } from '../model/dimensions.js'
import { MEASURE_NAMES, type MeasureName } from '../model/measures.js'
import { addDays, isDay, localDay, PeriodError, periodOf, type Period } from '../model/period.js'
import { isTimeName, isTimeValue, TIME_EXAMPLES } from '../model/time-values.js'
import { UserError } from '../../runtime/user-error.js'

/** A query about pulls, with all defaults filled in. */
export type PullsQuery = {
  measures: MeasureName[]
  groupBy: DimensionName[]
  /** For each dimension the values that count; a value that ends in `*` matches all values with that prefix. */
  filters: { dimension: DimensionName; values: string[] }[]
  period: Period
  timeZone: string
  compare: boolean
  limit: number
  /** The clock at the time of the query; undefined if the query is only about settled numbers. */
  queriedAt?: Micros
}

/** A period as answers contain it: its first and last day in the time zone. */
export type ReportedPeriod = { since: string; until: string; time_zone: string; weekday?: number }

export const reportedPeriod = ({ period, timeZone }: Pick<PullsQuery, 'period' | 'timeZone'>): ReportedPeriod => ({
  since: period.from,
  until: addDays(period.to, -1),
  time_zone: timeZone,
  ...(period.weekday !== undefined && { weekday: period.weekday }),
})

/** The dimensions by which a query groups or filters. */
export const dimensionsOf = ({ groupBy, filters }: Pick<PullsQuery, 'groupBy' | 'filters'>): DimensionName[] => [
  ...groupBy,
  ...filters.map(({ dimension }) => dimension),
]

/** A parameter of a query about pulls is invalid. The message names the parameter and the expected value. */
export class PullsError extends UserError {
  override readonly kind = 'invalid'
}

const MAX_GROUPS = 3
const MAX_ROWS = 10_000
const DEFAULT_ROWS = 1_000
/** The largest number of characters of a parameter that is no filter: more than the names of all measures have. */
const MAX_LENGTH = 1_000
const MAX_VALUES = 100
const MAX_VALUE_LENGTH = 300

/** The measures of a query that names none, separated by commas. */
export const DEFAULT_MEASURES = 'pulls,checks,downloads,unique_origins,unique_endpoints'
const DEFAULTS = {
  measures: DEFAULT_MEASURES,
  period: 'last-28-days',
  tz: 'UTC',
}
const COUNTRY = /^[a-z]{2}$/
/** Separates values; a comma within a value is escaped with a backslash. */
const COMMA = /(?<!\\),/
/**
 * Names that JavaScript and PostgreSQL interpret as different zones. PostgreSQL reads three letters as abbreviations without summer
 * time, JavaScript as zones of its own (IST: Israel or India); the excepted names mean the same in both. In PostgreSQL, positive
 * offsets are west of Greenwich.
 */
const AMBIGUOUS_ZONE = /^(?!(?:UTC|UCT|GMT|EST|MST|HST|PRC|ROC|ROK)$)[a-z]{3}$|^[+-]/i

/** The parameters of a query except its filters, with their descriptions. */
export const PARAMETERS = {
  measures: 'what to count, separated by commas',
  group_by: `what to group by: up to ${MAX_GROUPS}, separated by commas`,
  period: 'today, 7d (up to yesterday), 2026-03 (default: 28d)',
  since: 'first day, instead of a period',
  until: 'last day, with since (default: today)',
  tz: 'IANA time zone of hours and days (default: UTC)',
  compare: 'previous: show the previous period, too',
  limit: `rows (default: ${DEFAULT_ROWS}, at most ${MAX_ROWS})`,
}
const PARAMETER_NAMES: ReadonlySet<string> = new Set(Object.keys(PARAMETERS))

/**
 * Parses a query from its parameters, as a query string contains them.
 * @throws PullsError
 */
export const parsePullsQuery = (parameters: Readonly<Record<string, unknown>>, now: Date): PullsQuery => {
  const texts = new Map<string, string>()
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value !== 'string' || value === '') throw new PullsError(`${name}: expected one value`)
    if (PARAMETER_NAMES.has(name) && value.length > MAX_LENGTH)
      throw new PullsError(`${name}: expected at most ${MAX_LENGTH} characters`)
    texts.set(name, value)
  }
  const text = (name: string): string | undefined => texts.get(name)
  const timeZone = text('tz') ?? DEFAULTS.tz
  if (!isTimeZone(timeZone) || AMBIGUOUS_ZONE.test(timeZone))
    throw new PullsError(
      `tz: "${excerpt(timeZone)}" is not a time zone; expected an IANA name, for example Europe/Berlin`,
    )
  const today = localDay(now, timeZone)
  const groupBy = names(text('group_by') ?? '', 'group_by', DIMENSION_NAMES)
  if (groupBy.length > MAX_GROUPS) throw new PullsError(`group_by: expected at most ${MAX_GROUPS}`)
  const measures = names(text('measures') ?? DEFAULTS.measures, 'measures', MEASURE_NAMES)
  if (measures.length === 0) throw new PullsError(`measures: expected at least one of ${MEASURE_NAMES.join(', ')}`)
  const compare = text('compare')
  if (compare !== undefined && compare !== 'previous') throw new PullsError('compare: expected previous')
  return {
    measures,
    groupBy,
    filters: filtersIn(texts),
    period: refuseFuture(texts, periodIn(texts, today), today),
    timeZone,
    compare: compare !== undefined,
    limit: wholeNumber('limit', text('limit') ?? String(DEFAULT_ROWS), MAX_ROWS),
    queriedAt: microsOf(now),
  }
}

/**
 * Replaces the values of registry filters, such as hosts or names in another case, by the names of the registries.
 * @param valuesOf throws if there is no such registry
 */
export const withRegistryNames = async (
  query: PullsQuery,
  valuesOf: (given: readonly string[]) => Promise<string[]>,
): Promise<PullsQuery> => {
  const filters: PullsQuery['filters'] = []
  for (const filter of query.filters)
    filters.push(filter.dimension === 'registry' ? { ...filter, values: await valuesOf(filter.values) } : filter)
  return { ...query, filters }
}

const names = <Name extends string>(text: string, parameter: string, known: readonly Name[]): Name[] => {
  const wanted = [...new Set(text.split(',').map((one) => one.trim()))].filter((one) => one !== '')
  const unknown = wanted.find((one) => !(known as readonly string[]).includes(one))
  if (unknown !== undefined)
    throw new PullsError(`${parameter}: "${excerpt(unknown)}" is not known, expected ${known.join(', ')}`)
  return wanted as Name[]
}

const excerpt = (text: string): string => text.slice(0, 40)

const isDimension = (name: string): name is DimensionName => Object.hasOwn(DIMENSIONS, name)

const filtersIn = (texts: ReadonlyMap<string, string>): PullsQuery['filters'] => {
  const given = [...texts].filter(([name]) => !PARAMETER_NAMES.has(name))
  return given.map(([name, text]) => {
    if (!isDimension(name))
      throw new PullsError(
        `"${excerpt(name)}" is not a parameter; expected ${[...PARAMETER_NAMES, ...DIMENSION_NAMES].join(', ')}`,
      )
    const values = text.split(COMMA).map((one) => one.trim().replaceAll('\\,', ','))
    if (values.length > MAX_VALUES || values.some((value) => value.length > MAX_VALUE_LENGTH))
      throw new PullsError(`${name}: expected at most ${MAX_VALUES} values of at most ${MAX_VALUE_LENGTH} characters`)
    if (!values.every(isStorableText)) throw new PullsError(`${name}: contains characters that no name has`)
    refuseUnknown(name, values)
    if (name === 'digest') return { dimension: name, values: values.map(digestValue) }
    // Country codes are stored in upper case.
    return {
      dimension: name,
      values: name === 'country' ? values.map((value) => (COUNTRY.test(value) ? value.toUpperCase() : value)) : values,
    }
  })
}

/** A digest shortened as in tables: at least 12 hexadecimal digits, with the algorithm unless it is sha256. */
const SHORT_DIGEST = /^(?:([a-z0-9]+):)?([0-9a-f]{12,})$/

/** Returns a digest unchanged, and a shortened one as a prefix with `*`. @throws PullsError */
export const digestValue = (value: string): string => {
  const [, algorithm = 'sha256', hex = ''] = SHORT_DIGEST.exec(value) ?? []
  const length = DIGEST_ALGORITHMS.get(algorithm)
  if (length !== undefined && hex.length > 0 && hex.length < length) return `${algorithm}:${hex}*`
  if (length !== undefined && hex.length === length) return `${algorithm}:${hex}`
  if (value === 'unknown' || value.endsWith('*') || isDigest(value)) return value
  throw new PullsError(
    `digest: "${excerpt(value)}" is not a digest; expected a digest such as sha256:…, at least its first 12 hexadecimal digits, or unknown`,
  )
}

/** Refuses values that no row can have: a misspelt value would give an answer without rows. @throws PullsError */
const refuseUnknown = (name: DimensionName, values: readonly string[]): void => {
  const { values: known } = DIMENSIONS[name]
  const isKnown = (value: string): boolean =>
    known?.some((one) => (value.endsWith('*') ? one.startsWith(value.slice(0, -1)) : one === value)) !== false
  const unknown = values.find((value) => !isKnown(value))
  if (known && unknown !== undefined)
    throw new PullsError(`${name}: "${excerpt(unknown)}" is not known, expected ${known.join(', ')}`)
  const unfit = isTimeName(name) ? values.find((value) => !isTimeValue(name, value)) : undefined
  if (isTimeName(name) && unfit !== undefined)
    throw new PullsError(
      `${name}: "${excerpt(unfit)}" is not ${name === 'hour' ? 'an' : 'a'} ${name}; expected a value such as ${TIME_EXAMPLES[name]}, or a prefix followed by *`,
    )
}

const periodIn = (texts: ReadonlyMap<string, string>, today: string): Period => {
  const [period, since, until] = [texts.get('period'), texts.get('since'), texts.get('until')]
  if (since === undefined && until !== undefined) throw new PullsError('until: expected since beside it')
  if (since !== undefined) {
    if (period !== undefined) throw new PullsError('period: expected either period, or since and until')
    const last = until ?? today
    for (const [name, day] of [
      ['since', since],
      ['until', last],
    ] as const)
      if (!isDay(day))
        throw new PullsError(
          `${name}: "${excerpt(day)}" is not a day from 1970 to 2999; expected a day such as 2026-03-10`,
        )
    if (until !== undefined && last < since) throw new PullsError('until: expected a day that is not before since')
    return { from: since, to: addDays(last, 1) }
  }
  try {
    return periodOf(period ?? DEFAULTS.period, today)
  } catch (error) {
    if (error instanceof PeriodError) throw new PullsError(`period: ${error.message}`)
    throw error
  }
}

/** A period that begins after today has no pulls, and its zeros look like numbers. @throws PullsError */
const refuseFuture = (texts: ReadonlyMap<string, string>, period: Period, today: string): Period => {
  if (period.from <= today) return period
  const name = texts.has('since') ? 'since' : 'period'
  throw new PullsError(`${name}: begins on ${period.from}, after today (${today}); expected today or before`)
}

/** @throws PullsError */
export const wholeNumber = (name: string, text: unknown, most: number): number => {
  const number = Number(text)
  if (typeof text === 'string' && /^\d{1,15}$/.test(text) && number >= 1 && number <= most) return number
  throw new PullsError(`${name}: expected a whole number from 1 to ${most}`)
}
