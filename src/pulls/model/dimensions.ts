import { sql, type RawBuilder } from 'kysely'
import { LIKELY, PATTERNS } from './behaviour.js'
import { CLIENT_KINDS } from '../../events/client-kinds.js'
import { REQUEST_SOURCES } from '../../events/registry-request.js'
import { TIME_EXAMPLES } from './time-values.js'

/** A dimension by which outcomes `o`, or rows of days `o`, can be grouped and filtered. */
export type Dimension = {
  help: string
  /** @param local the time of the row in the time zone of the query */
  value: (local: RawBuilder<unknown>) => RawBuilder<unknown>
  /** Groups of times are sorted by time, all other groups by size, the largest first. */
  isTime?: true
  /**
   * Whether pulls.summaries contains the dimension. A dimension that is added later is only in the summaries of new days, until
   * pulls.summarized is emptied or a migration adds the dimension to the existing summaries.
   */
  isSummarized?: true
  /** Whether the value comes from the reading of an origin's behaviour: single outcomes do not contain it. */
  isReading?: true
  /** All possible values. */
  values?: readonly string[]
}

/** A column that is never null. It is used without an expression around it, so that an index applies. */
const column = (name: string, help: string): Dimension => ({ help, value: () => sql.ref(`o.${name}`) })

/**
 * Bytes of a value by which pulls are summarized. It is part of a key, and PostgreSQL limits index entries to 2,704 bytes. The longest
 * current value has fewer than 400; earlier versions stored platforms of up to 9,000.
 */
export const LONGEST_VALUE = 512

/** A text that a client chose. A longer one is unknown, in details and summaries alike, so that both have the same groups. */
const bounded = (name: string, help: string): Dimension => ({
  help,
  value: () => {
    const value = sql.ref(`o.${name}`)
    return sql`case when octet_length(${value}) <= ${sql.lit(LONGEST_VALUE)} then ${value} else 'unknown' end`
  },
})

const orUnknown = (name: string, help: string): Dimension => ({
  help,
  value: () => sql`coalesce(${sql.ref(`o.${name}`)}, 'unknown')`,
})

const time = (format: string, help: string): Dimension => ({
  help,
  value: (local) => sql`to_char(${local}, ${sql.lit(format)})`,
  isTime: true,
})

const summarized = (one: Dimension): Dimension => ({ ...one, isSummarized: true })

const oneOf = (name: string, help: string, values: readonly string[]): Dimension => ({
  ...column(name, `${help}: ${values.join(', ')}`),
  values,
})

const reading = (name: string, help: string, values: readonly string[]): Dimension =>
  summarized({ ...oneOf(name, help, values), isReading: true })

const DIMENSION_TABLE = {
  hour: time('YYYY-MM-DD"T"HH24:00', `hour in the time zone of the query, for example ${TIME_EXAMPLES.hour}`),
  day: time('YYYY-MM-DD', `day in the time zone of the query, for example ${TIME_EXAMPLES.day}`),
  week: time('IYYY-"W"IW', `ISO week, which begins on Monday, for example ${TIME_EXAMPLES.week}`),
  month: time('YYYY-MM', `calendar month, for example ${TIME_EXAMPLES.month}`),
  weekday: { ...time('ID', 'day of the week: 1 is Monday'), values: ['1', '2', '3', '4', '5', '6', '7'] },
  registry: column('registry', 'registry'),
  repository: summarized(column('repository', 'repository')),
  tag: { help: 'requested tag; - for requests by digest', value: () => sql`coalesce(o.tag, '-')` },
  digest: orUnknown('digest', 'requested digest'),
  platform: summarized(bounded('platform', 'platform of the image, for example linux/arm64')),
  platform_from: orUnknown('platform_from', 'source of the platform: index, config or client'),
  os: summarized(bounded('os', 'operating system of the client')),
  arch: summarized(bounded('arch', 'architecture of the client')),
  client: summarized(bounded('client', 'client, such as docker or containerd')),
  client_version: orUnknown('client_version', 'version of the client'),
  kind: summarized(oneOf('kind', 'kind of client', [...CLIENT_KINDS, 'unknown'])),
  country: summarized(bounded('country', 'country of the address (ISO 3166-1)')),
  network: summarized(bounded('network', 'network of the address')),
  network_kind: summarized(bounded('network_kind', 'kind of network')),
  signed_in: summarized({
    help: 'signed-in or anonymous',
    value: () => sql`case when o.signed_in then 'signed-in' else 'anonymous' end`,
    values: ['signed-in', 'anonymous'],
  }),
  source: summarized(oneOf('source', 'how the request was reported', REQUEST_SOURCES)),
  behaviour: reading('behaviour', 'request pattern of the origin over a week', PATTERNS),
  likely: reading('likely', 'the probable use that the pattern suggests', LIKELY),
} as const satisfies Record<string, Dimension>

export type DimensionName = keyof typeof DIMENSION_TABLE
export const DIMENSIONS: Record<DimensionName, Dimension> = DIMENSION_TABLE
export const DIMENSION_NAMES = Object.keys(DIMENSIONS) as DimensionName[]
export const dimension = (name: DimensionName): Dimension => DIMENSIONS[name]

/** Dimensions by whose values pulls.summaries divides all pulls of a registry. The undivided total is recorded under ALL. */
export const SUMMARIZED = DIMENSION_NAMES.filter((name) => dimension(name).isSummarized)
export const ALL = 'all'
export const IN_SUMMARIES = [ALL, ...SUMMARIZED] as const

/** The dimension of pulls.summaries that suffices for a query by these dimensions; undefined if one dimension does not suffice. */
export const summaryFor = (names: readonly DimensionName[]): DimensionName | typeof ALL | undefined => {
  const others = new Set(names.filter((name) => !dimension(name).isTime && name !== 'registry'))
  const [only = ALL] = others
  if (others.size > 1) return undefined
  return only === ALL || dimension(only).isSummarized ? only : undefined
}
