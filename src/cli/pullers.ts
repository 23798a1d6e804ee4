import { contextBy } from '../service/open-pulls.js'
import { wholeNumber, withRegistryNames } from '../pulls/query/parameters.js'
import { queryBehaviours, type BehavioursAnswer } from '../pulls/query/query-behaviours.js'
import { queryPullers, parsePullersQuery, type PullersAnswer } from '../pulls/query/query-pullers.js'
import { askOrOpen, clock, configNow } from './stores/open.js'
import { parametersOf } from './stores/parameters.js'
import { printJson, printLine, printNotes, printTable, type TableOptions } from './terminal/print.js'
import { printPeriod, type PullsOptions } from './pulls.js'

/** Shows the origins with most pulls, and the totals without them. */
export const pullers = async ({ json, wide, ...options }: PullsOptions): Promise<void> => {
  const { top = '10', ...parameters } = parametersOf(options)
  const answer = await askOrOpen(
    configNow(),
    async (service) =>
      (await service.get(`/pulls/pullers?${new URLSearchParams({ ...parameters, top }).toString()}`)) as PullersAnswer,
    async ({ stores, config, registryNames }) => {
      const query = await withRegistryNames(parsePullersQuery(parameters, clock()), registryNames.valuesOf)
      const named = wholeNumber('--top', top, 1_000)
      return queryPullers(stores.database.sql, query, named, contextBy(config))
    },
  )
  if (json === true) {
    printJson(answer)
    return
  }
  const { pulls, pullers: all, median_pulls, mean_pulls, top_share, without_top, without_automatic, notes } = answer
  printPeriod(answer.period)
  if (answer.top.length > 0) printTop(answer.top, { wide })
  printTable(
    ['', 'pulls', 'pullers'],
    [
      ['all', pulls, all],
      ...(without_top
        ? [
            [
              `without the first ${answer.top.length || top} (${percent(top_share ?? 0)})`,
              without_top.pulls,
              without_top.pullers,
            ],
          ]
        : []),
      ...(without_automatic
        ? [[`without ${without_automatic.kinds.join(', ')}`, without_automatic.pulls, without_automatic.pullers]]
        : []),
    ],
    { wide },
  )
  printLine()
  if (mean_pulls !== undefined)
    printLine(`Pulls of a puller: ${mean_pulls.toFixed(1)} on average, ${median_pulls} in the median.`)
  for (const note of notes) printLine(note)
}

const printTop = (top: PullersAnswer['top'], options: TableOptions): void => {
  printTable(
    ['origin', 'client', 'kind', 'pulls', 'share'],
    top.map(({ origin, client, kind, pulls: its, share }) => [origin, client, kind, its, percent(share)]),
    options,
  )
  printLine()
}

/** Shows the behaviour of origins over time. */
export const behaviours = async ({ json, wide, ...options }: PullsOptions): Promise<void> => {
  const { repository, days = '7', limit = '100' } = parametersOf(options)
  const named = repository === undefined ? {} : { repository }
  const { items, notes } = await askOrOpen(
    configNow(),
    async (service) =>
      (await service.get(
        `/pulls/behaviour?${new URLSearchParams({ ...named, days, limit }).toString()}`,
      )) as BehavioursAnswer,
    async ({ stores, config }) => {
      const look = { now: clock(), days: wholeNumber('--days', days, 90), limit: wholeNumber('--limit', limit, 1_000) }
      return queryBehaviours(stores.database.sql, { ...look, ...named }, contextBy(config))
    },
  )
  if (json === true) {
    printJson(items)
    printNotes(notes)
    return
  }
  printTable(
    ['repository', 'origin', 'client', 'pattern', 'likely', 'period', 'invocations', 'fit', 'confidence'],
    items.map(({ repository: name, origin, client, pattern, likely, period, evidence, confidence }) => [
      ...[name, origin, client, pattern, likely],
      period === undefined ? undefined : `${Math.round(period)} s`,
      ...[evidence.invocations, percent(evidence.fitting), percent(confidence)],
    ]),
    { wide },
  )
  printLine('Behaviours are estimates, never certain: several clients behind one address look irregular.')
  for (const note of notes) printLine(note)
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
