import { sql, type RawBuilder } from 'kysely'
import { LIKELY, PATTERNS } from './behaviour.js'
import { CLIENT_KINDS } from '../../events/client-kinds.js'
import { REQUEST_SOURCES } from '../../events/registry-request.js'
import { TIME_EXAMPLES } from './time-values.js'

/** By what outcomes, or days of them, `o` can be grouped and filtered. */
export type Dimension = {
  help: string
  /** @param local the time in the time zone that was asked for. */
  value: (local: RawBuilder<unknown>) => RawBuilder<unknown>
  /** Groups of times are shown in their order, all others with the largest first. */
  isTime?: true
  /**
   * Whether pulls.summaries has it. One that is added to it is in new days only, until pulls.summarized is emptied, unless a
   * migration adds what those before have of it.
   */
  isSummarized?: true
  /** Whether it is read from how an origin asks over time: single outcomes do not have it themselves. */
  isReading?: true
  /** All the values that there can be. */
  values?: readonly string[]
}

/** A column that always has a value, as itself: an index is found by it. */
const column = (name: string, help: string): Dimension => ({ help, value: () => sql.ref(`o.${name}`) })

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
  hour: time('YYYY-MM-DD"T"HH24:00', `hour of the time zone, as ${TIME_EXAMPLES.hour}`),
  day: time('YYYY-MM-DD', `day of the time zone, as ${TIME_EXAMPLES.day}`),
  week: time('IYYY-"W"IW', `ISO week, from Monday, as ${TIME_EXAMPLES.week}`),
  month: time('YYYY-MM', `calendar month, as ${TIME_EXAMPLES.month}`),
  weekday: { ...time('ID', 'day of the week: 1 is Monday'), values: ['1', '2', '3', '4', '5', '6', '7'] },
  registry: column('registry', 'registry'),
  repository: summarized(column('repository', 'repository')),
  tag: { help: 'tag that was asked for; - of what was asked for by digest', value: () => sql`coalesce(o.tag, '-')` },
  digest: orUnknown('digest', 'digest of what was asked for'),
  platform: summarized(column('platform', 'platform of the image, as linux/arm64')),
  platform_from: orUnknown('platform_from', 'how the platform is known: index, config or client'),
  os: summarized(orUnknown('os', 'operating system of the client')),
  arch: summarized(orUnknown('arch', 'architecture of the client')),
  client: summarized(column('client', 'client, as docker or containerd')),
  client_version: orUnknown('client_version', 'version of the client'),
  kind: summarized(oneOf('kind', 'kind of client', [...CLIENT_KINDS, 'unknown'])),
  country: summarized(orUnknown('country', 'country of the address (ISO 3166-1)')),
  network: summarized(orUnknown('network', 'network of the address')),
  network_kind: summarized(orUnknown('network_kind', 'kind of network')),
  signed_in: summarized({
    help: 'signed-in or anonymous',
    value: () => sql`case when o.signed_in then 'signed-in' else 'anonymous' end`,
    values: ['signed-in', 'anonymous'],
  }),
  source: summarized(oneOf('source', 'how it was reported', REQUEST_SOURCES)),
  behaviour: reading('behaviour', 'how the origin asks over a week', PATTERNS),
  likely: reading('likely', 'what that makes likely', LIKELY),
} as const satisfies Record<string, Dimension>

export type DimensionName = keyof typeof DIMENSION_TABLE
export const DIMENSIONS: Record<DimensionName, Dimension> = DIMENSION_TABLE
export const DIMENSION_NAMES = Object.keys(DIMENSIONS) as DimensionName[]
export const dimension = (name: DimensionName): Dimension => DIMENSIONS[name]

/** Each has the whole of a registry by its values in pulls.summaries; the whole itself is there under ALL. */
export const SUMMARIZED = DIMENSION_NAMES.filter((name) => dimension(name).isSummarized)
export const ALL = 'all'
export const IN_SUMMARIES = [ALL, ...SUMMARIZED] as const

/** The dimension of pulls.summaries that tells these apart beside registries and times; undefined where none alone does. */
export const summaryFor = (names: readonly DimensionName[]): DimensionName | typeof ALL | undefined => {
  const others = new Set(names.filter((name) => !dimension(name).isTime && name !== 'registry'))
  const [only = ALL] = others
  if (others.size > 1) return undefined
  return only === ALL || dimension(only).isSummarized ? only : undefined
}
