import { sql, type RawBuilder } from 'kysely'

/** Columns by which outcomes are told apart, beside their time. */
export const PLACES = [
  'registry',
  'repository',
  'tag',
  'digest',
  'platform',
  'platform_from',
  'os',
  'arch',
  'client',
  'client_version',
  'kind',
  'country',
  'network',
  'network_kind',
  'signed_in',
  'source',
] as const

const INVOCATION = `o.what = 'invocation'`
const PULL = `(${INVOCATION} and o.gets > 0)`
const number = (condition: string): string => `(${condition})::int`

/** What each outcome `o` adds to a number: the same as fold/measures.ts says. The rest follows from these (see measures.ts). */
const NUMBERS = {
  invocations: number(INVOCATION),
  pulls: number(PULL),
  downloads_confirmed: number(`${PULL} and o.shows_blobs and o.layers > 0`),
  downloads_assumed: number(`${PULL} and not o.shows_blobs`),
  platform_pulls: 'o.platform_pulls',
  manifest_gets: `case when o.what = 'artifact' then 1 else o.gets end`,
  sessions: number(`${INVOCATION} and o.starts_session`),
  pull_by_tag: number(`${PULL} and o.by_tag`),
  pull_by_digest: number(`${INVOCATION} and not o.by_tag`),
  version_check: number(`${INVOCATION} and o.by_tag and o.gets = 0`),
  artifact_fetches: number(`o.what = 'artifact'`),
  orphan_blob_sessions: number(`o.what = 'orphan'`),
  failed_requests: number(`o.what = 'failure'`),
  bytes: `case when o.what = 'failure' then 0 else o.bytes end`,
} as const

export type CountedNumber = keyof typeof NUMBERS
export const COUNTED_NUMBERS = Object.keys(NUMBERS) as CountedNumber[]

/** Who is told apart: the member that an outcome adds to a sketch, and the sketches of whole days. */
const SKETCHES = {
  origins: `case when ${PULL} then o.origin end`,
  endpoints: `case when ${PULL} then o.endpoint end`,
  sources: `case when ${INVOCATION} then o.origin end`,
} as const
export type CountedSketch = keyof typeof SKETCHES
export const COUNTED_SKETCHES = Object.keys(SKETCHES) as CountedSketch[]

const places = (table: string): string => PLACES.map((name) => `${table}.${name}`).join(', ')

/** Outcomes, each with its time, what it adds to each number, and the members that it adds to sketches. */
export const OUTCOMES = `
  select o.at, ${places('o')},
    ${Object.entries(NUMBERS)
      .map(([name, value]) => `${value} as ${name}`)
      .join(', ')},
    ${Object.entries(SKETCHES)
      .map(([name, member]) => `${member} as ${name}_member, null::bytea as ${name}_sketch`)
      .join(', ')}
  from pulls.outcomes o join pulls.registries r using (registry)`

const DAYS = `
  select (d.day::timestamp at time zone 'UTC') as at, ${places('d')},
    ${COUNTED_NUMBERS.map((name) => `d.${name}`).join(', ')},
    ${COUNTED_SKETCHES.map((name) => `null::text as ${name}_member, d.${name} as ${name}_sketch`).join(', ')}
  from pulls.days d join pulls.registries r using (registry)`

/** From when on to when, and whether whole UTC days will do. */
export type Extent = { from: RawBuilder<unknown>; to: RawBuilder<unknown>; byDay: boolean }

/**
 * All that is counted in an extent: days that were rolled up, and outcomes of later ones. Hours, and days of other time zones,
 * are told by outcomes alone, as far back as they are kept.
 */
export const countedIn = ({ from, to, byDay }: Extent): RawBuilder<unknown> => {
  const border = sql.raw(byDay ? 'r.rolled_to' : 'r.kept_from')
  return sql`(
    ${sql.raw(DAYS)}
    where d.day < ${border} and d.day >= (${from} at time zone 'UTC')::date and d.day < (${to} at time zone 'UTC')::date
    union all
    ${sql.raw(OUTCOMES)}
    where o.at >= ${from} and o.at < ${to} and (o.at at time zone 'UTC')::date >= ${border}
  )`
}
