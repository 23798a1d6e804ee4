import { contextBy } from '../service/open-pulls.js'
import { parsePullsQuery, withRegistryNames, type ReportedPeriod } from '../pulls/query/parameters.js'
import { queryPulls, type PullsAnswer, type PullsRow } from '../pulls/query/query-pulls.js'
import { previousNotes } from '../pulls/query/previous-notes.js'
import { shownBytes } from './terminal/bytes.js'
import { askOrOpen, clock, configNow } from './stores/open.js'
import { writeCsv } from './terminal/output.js'
import { parametersOf } from './stores/parameters.js'
import { printJson, printLine, printNotes, printTable, type TableOptions } from './terminal/print.js'
import { DIMENSIONS } from '../pulls/model/dimensions.js'
import { sparkline } from './terminal/sparkline.js'
import { timesOf } from './terminal/timeline.js'

export type PullsOptions = { json?: boolean; csv?: boolean; ndjson?: boolean; wide?: boolean } & Record<
  string,
  string | boolean | undefined
>

/** Answers a query about pulls, through the running service if only the service can reach the database. */
export const pulls = async (options: PullsOptions): Promise<void> => {
  const { json, csv, ndjson, wide, ...filters } = options
  const parameters = parametersOf(filters)
  const answer = await askOrOpen(
    configNow(),
    async (service) => (await service.get(`/pulls?${new URLSearchParams(parameters).toString()}`)) as PullsAnswer,
    async ({ stores, config, registryNames }) => {
      const query = await withRegistryNames(parsePullsQuery(parameters, clock()), registryNames.valuesOf)
      return queryPulls(stores.database.sql, query, contextBy(config))
    },
  )
  if (json === true) printJson(answer)
  else if (csv === true || ndjson === true) {
    if (csv === true) writeCsv([answer.columns, ...answer.rows.map((row) => answer.columns.map((name) => row[name]))])
    else for (const row of answer.rows) printLine(JSON.stringify(row))
    printNotes([...previousNotes(answer), ...answer.notes, ...(answer.is_cut ? [MORE_GROUPS] : [])])
  } else
    printAnswer(answer, {
      isNarrowed: Object.keys(parameters).some((name) => TIMES.has(name) || name === 'weekday'),
      wide,
    })
}

const MORE_GROUPS = 'More groups exist; raise --limit.'

const TIMES: ReadonlySet<string> = new Set(['hour', 'day', 'week', 'month'])

/**
 * One row for each time of a period, including times without pulls. If small times were merged into `other`, which has no time, only
 * the rows of the other times.
 */
const seriesOf = (rows: readonly PullsRow[], time: keyof PullsRow, period: ReportedPeriod): PullsRow[] => {
  const byTime = new Map(rows.map((row) => [row[time], row]))
  if (byTime.delete('other')) return [...byTime.values()]
  return (timesOf(time, period, clock()) ?? []).map((name) => byTime.get(name) ?? {})
}

export const printPeriod = ({ since, until, time_zone, weekday }: ReportedPeriod): void => {
  const only = weekday === undefined ? '' : `, only day ${weekday} of each week`
  printLine(`${since} to ${until} (${time_zone}${only})`)
  printLine()
}

/** Bytes are rounded, as in the tables of the inventory. */
const cellOf = (row: PullsRow, name: keyof PullsRow): string | number | undefined => {
  const value = row[name]
  return /^(?:previous_)?bytes$/.test(name) && typeof value === 'number' ? shownBytes(value) : value
}

type Printed = TableOptions & {
  /** Whether a filter selects only some times of the period. */
  isNarrowed: boolean
}

const printAnswer = (answer: PullsAnswer, { isNarrowed, wide }: Printed): void => {
  const { columns, rows, total, period, previous, definitions, is_cut, notes } = answer
  const measures = Object.keys(definitions) as (keyof PullsRow)[]
  printPeriod(period)
  const isGrouped = columns.some((name) => name in DIMENSIONS)
  // Without groups, the previous period has a table of its own below.
  const shown = isGrouped ? columns : measures
  if (rows.length === 0) printLine('no rows')
  else
    printTable(
      shown,
      rows.map((row) => shown.map((name) => cellOf(row, name))),
      { wide },
    )
  const [time = 'day'] = columns
  if (rows.length > 1 && TIMES.has(time) && columns.length === measures.length + 1) {
    printLine()
    const series = is_cut || isNarrowed ? rows : seriesOf(rows, time, period)
    for (const name of measures) printLine(`${sparkline(series.map((row) => Number(row[name] ?? 0)))}  ${name}`)
  }
  if (isGrouped) {
    printLine()
    printTable(
      ['', ...measures],
      [
        ['total', ...measures.map((name) => cellOf(total, name))],
        ...(previous ? [['before', ...measures.map((name) => cellOf(previous.total, name))]] : []),
      ],
      { wide },
    )
  } else if (previous)
    printTable(
      ['before', ...measures],
      [[previous.period.since, ...measures.map((name) => cellOf(previous.total, name))]],
      {
        wide,
      },
    )
  printLine()
  for (const name of measures)
    printLine(`${name} (${definitions[name]?.made ?? ''}): ${definitions[name]?.definition ?? ''}`)
  for (const note of notes) printLine(note)
  if (is_cut) printLine(MORE_GROUPS)
}
