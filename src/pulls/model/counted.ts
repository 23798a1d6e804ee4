/** Columns by which outcomes are grouped, beside their time. */
export const DIMENSION_COLUMNS = [
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

/** Further columns by which outcomes are grouped, once the behaviour of their origins was read. */
export const READING_COLUMNS = ['behaviour', 'likely'] as const

const INVOCATION = `o.what = 'invocation'`
const PULL = `(${INVOCATION} and o.gets > 0)`
const number = (condition: string): string => `(${condition})::int`

/** What each outcome `o` adds to a number. `measures.ts` derives the other measures. */
export const NUMBERS = {
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

/** The member that an outcome `o` adds to each sketch. Days and summaries have sketches of these names. */
export const MEMBERS = {
  origins: `case when ${PULL} then o.origin end`,
  endpoints: `case when ${PULL} then o.endpoint end`,
  sources: `case when ${INVOCATION} then o.origin end`,
} as const
export type CountedSketch = keyof typeof MEMBERS
export const COUNTED_SKETCHES = Object.keys(MEMBERS) as CountedSketch[]
