import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import { arrayText } from '../../storage/sql/array-text.js'
import type { Sql } from '../../storage/sql/database.js'
import type { PullOutcome } from '../fold/outcome.js'
import type { Who } from '../requests/pending.js'
import { platformOf, type PlatformsOf } from './platform.js'
import type { ChangedOutcome } from './fold-batch.js'
import { invocationValuesOf, OUTCOME_COLUMNS, textsOfWho, WHO_TEXTS } from './outcome-values.js'

type OutcomeLookups = {
  reportsBlobs: (at: Micros) => boolean
  platforms: PlatformsOf
}

/** The table of settled outcomes, or of provisional ones, which also contains the time of the last request of each. */
type Target = { table: 'pulls.outcomes' | 'provisional.outcomes'; lastAt?: (outcome: PullOutcome) => Micros }

const SETTLED: Target = { table: 'pulls.outcomes' }

/**
 * Inserts outcomes in their current state, or updates those that were stored before.
 * All values are read before the first await, so the caller may continue to change open outcomes meanwhile.
 * @param outcomes each outcome at most once
 */
export const saveOutcomes = async (
  tx: Sql,
  outcomes: readonly ChangedOutcome[],
  { reportsBlobs, platforms }: OutcomeLookups,
  { table, lastAt }: Target = SETTLED,
): Promise<void> => {
  const whoOf = readOnce(outcomes)
  const rows = outcomes
    .map(({ outcome, who }) => ({ outcome, who: whoOf(who) }))
    .sort((a, b) => (isBefore(a.outcome, b.outcome) ? -1 : 1))
  if (rows.length === 0) return
  const shows = rows.map(({ outcome }) => reportsBlobs(outcome.at))
  const platformsOfRows = rows.map(({ outcome, who }) => platformOf(outcome, who, platforms))
  const values = rows.map(({ outcome }) => invocationValuesOf(outcome))
  const whoTexts = rows.map(({ who }) => textsOfWho(who))
  await sql`
    insert into ${sql.table(table)} as stored (${sql.raw(OUTCOME_COLUMNS.join(', '))} ${lastAt ? sql`, last_at` : sql``})
    select * from unnest(
      ${arrayText(rows.map(({ outcome }) => outcome.id))}::text[],
      ${arrayText(rows.map(({ outcome }) => outcome.what))}::text[],
      ${arrayText(rows.map(({ outcome }) => isoTime(outcome.at)))}::timestamptz[],
      ${arrayText(rows.map(({ outcome }) => outcome.registry))}::text[],
      ${arrayText(rows.map(({ outcome }) => outcome.repository))}::text[],
      ${arrayText(rows.map(({ outcome }) => outcome.origin))}::text[],
      ${arrayText(rows.map(({ outcome }) => outcome.tag ?? null))}::text[],
      ${arrayText(rows.map(({ outcome }) => outcome.digest ?? null))}::text[],
      ${arrayText(rows.map(({ outcome }) => outcome.bytes))}::bigint[],
      ${arrayText(values.map(({ byTag }) => byTag))}::boolean[],
      ${arrayText(values.map(({ gets }) => gets))}::int[],
      ${arrayText(values.map(({ layers }) => layers))}::int[],
      ${arrayText(values.map(({ startsSession }) => startsSession))}::boolean[],
      ${arrayText(shows)}::boolean[],
      ${arrayText(platformsOfRows.map(({ platform }) => platform))}::text[],
      ${arrayText(platformsOfRows.map(({ from }) => from ?? null))}::text[],
      ${arrayText(values.map(({ platformPulls }) => platformPulls))}::int[],
      ${sql.join(WHO_TEXTS.map((_name, i) => sql`${arrayText(whoTexts.map((texts) => texts[i] ?? null))}::text[]`))},
      ${arrayText(rows.map(({ who }) => who.signedIn))}::boolean[]
      ${lastAt ? sql`, ${arrayText(rows.map(({ outcome }) => isoTime(lastAt(outcome))))}::timestamptz[]` : sql``}
    )
    on conflict (registry, repository, at, id) do update
      set digest = excluded.digest, bytes = excluded.bytes, gets = excluded.gets, layers = excluded.layers,
          shows_blobs = stored.shows_blobs or excluded.shows_blobs, platform = excluded.platform, platform_from = excluded.platform_from,
          platform_pulls = excluded.platform_pulls ${lastAt ? sql`, last_at = excluded.last_at` : sql``}
  `.execute(tx)
}

/** Sorts outcomes by key, the order in which all processes lock them. */
const isBefore = (a: PullOutcome, b: PullOutcome): boolean =>
  a.repository < b.repository || (a.repository === b.repository && (a.at < b.at || (a.at === b.at && a.id < b.id)))

/** Parses each text of a `Who` once. */
const readOnce = (outcomes: readonly ChangedOutcome[]): ((text: string) => Who) => {
  const read = new Map([...new Set(outcomes.map(({ who }) => who))].map((text) => [text, JSON.parse(text) as Who]))
  return (text) => read.get(text) ?? (JSON.parse(text) as Who)
}
