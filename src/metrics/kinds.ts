import { sql } from 'kysely'
import { countKeys, keysForTimeFrame } from '../counters/read.js'
import { sumTallies, type Days } from '../counters/tallies.js'
import { completeWeeks, daysOfWeeks, rangeOf, type TimeFrame } from '../counters/time-frames.js'
import { microsOf, utcDay, type Micros } from '../events/calendar.js'
import type { Database } from '../storage/sql/database.js'
import type { SketchStore } from '../storage/sketches/sketch-store.js'
import type { MetricDefinition, MetricTimeFrame } from './definition.js'
import { asError, type Kind, type Kinds, type MetricValue } from './evaluate.js'
import { queryText } from './queries.js'

/** Values of the service itself, by name. Reading a value may be asynchronous. */
export type NamedValues = Readonly<Record<string, () => MetricValue | Promise<MetricValue>>>

/** A measure of pulls over whole UTC days; with `byKind`, an object with a value for each kind of client. */
type PullsMeasure = { measure: string; byKind: boolean; days: Days }
type CountPulls = (wanted: PullsMeasure) => Promise<MetricValue>

type KindsDeps = {
  database: Database
  sketches: SketchStore
  countPulls: CountPulls
  systemValues: NamedValues
  settingValues: NamedValues
  now: () => Date
}

/** Creates the reader of each data source, which returns the values of definitions. */
export const createKinds = ({
  database,
  sketches,
  countPulls,
  systemValues,
  settingValues,
  now,
}: KindsDeps): Kinds => ({
  redis_hll: async (definitions) => {
    const today = microsOf(now())
    return countKeys(
      sketches,
      definitions.map(({ options, time_frame }) =>
        keysForTimeFrame(options.events as string[], time_frame as TimeFrame, today),
      ),
    )
  },

  redis: async (definitions) => {
    const today = microsOf(now())
    return sumTallies(
      database.sql,
      definitions.map(({ options, time_frame }) => ({
        name: options.event as string,
        days: daysOf(time_frame, today),
      })),
    )
  },

  database: async (definitions) =>
    oneByOne(definitions, async ({ options }) => runQuery(database, options.query as string, now())),

  pulls: async (definitions) => {
    const today = microsOf(now())
    return oneByOne(definitions, async ({ options, time_frame }) =>
      countPulls({
        measure: options.measure as string,
        byKind: options.by === 'kind',
        days: daysOf(time_frame, today),
      }),
    )
  },

  system: named(systemValues),
  setting: named(settingValues),
})

/** Returns the text of each query instead of its value. */
export const queryTexts =
  (now: () => Date): Kind =>
  async (definitions) =>
    Promise.resolve(
      definitions.map(({ options }) => queryText(options.query as string, now()) ?? new Error('no such query')),
    )

const named =
  (values: NamedValues): Kind =>
  async (definitions) =>
    Promise.all(
      definitions.map(async ({ options }: MetricDefinition) => {
        const value = values[options.value as string]
        return value ? orError(async () => value()) : new Error(`there is no value ${String(options.value)}`)
      }),
    )

/** Reads values one after the other: statements in parallel would delay notifications until the last of them ended. */
const oneByOne = async (
  definitions: readonly MetricDefinition[],
  read: (definition: MetricDefinition) => Promise<MetricValue>,
): Promise<(MetricValue | Error)[]> => {
  const values: (MetricValue | Error)[] = []
  for (const definition of definitions) values.push(await orError(async () => read(definition)))
  return values
}

const orError = async (read: () => Promise<MetricValue>): Promise<MetricValue | Error> => read().catch(asError)

const runQuery = async (database: Database, name: string, now: Date): Promise<number> => {
  const text = queryText(name, now)
  if (text === undefined) throw new Error(`there is no query ${name}`)
  const { rows } = await sql<Record<string, string | null>>`${sql.raw(text)}`.execute(database.sql)
  const [value = null] = Object.values(rows[0] ?? {})
  if (value === null) throw new Error(`${name} is not known yet: no summary of the inventory has been made`)
  return Number(value)
}

/** The complete UTC days of a time frame: the same weeks or month as for unique users. */
const daysOf = (timeFrame: MetricTimeFrame, today: Micros): Days => {
  if (timeFrame === 'all' || timeFrame === 'none') return {}
  const range =
    timeFrame === 'month' ? rangeOf(timeFrame, today) : daysOfWeeks(completeWeeks(rangeOf(timeFrame, today)))
  return range ? { from: utcDay(range.start), to: utcDay(range.end) } : {}
}
