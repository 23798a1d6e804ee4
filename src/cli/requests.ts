import { countRequests, type CountsAnswer } from '../pulls/query/count-requests.js'
import { queryRequests, type RequestsAnswer } from '../pulls/query/query-requests.js'
import { parseRequestsQuery, withRecordedNames } from '../pulls/query/requests-parameters.js'
import { askOrOpen, clock, configNow } from './stores/open.js'
import { parametersOf } from './stores/parameters.js'
import { printJson, printNotes, printTable } from './terminal/print.js'

export type RequestsOptions = { json?: boolean; wide?: boolean } & Record<string, string | boolean | undefined>

/** Shows single requests, or their numbers by day and repository. */
export const requests = async ({ json, wide, ...options }: RequestsOptions): Promise<void> => {
  const parameters = parametersOf(options)
  const answer = await askOrOpen(
    configNow(),
    async (service) =>
      (await service.get(`/requests?${new URLSearchParams({ ...parameters, format: 'json' }).toString()}`)) as
        RequestsAnswer | CountsAnswer,
    async ({ stores, registryNames }) => {
      const query = await withRecordedNames(parseRequestsQuery(parameters, clock()), registryNames.valuesOf)
      const { sql: db } = stores.database
      return query.groupBy.length > 0 ? countRequests(db, query) : queryRequests(db, query)
    },
  )
  if (json === true) {
    printJson(answer)
    return
  }
  if ('columns' in answer) {
    const { columns, rows } = answer
    printTable(
      columns,
      rows.map((row) => columns.map((name) => row[name as keyof typeof row])),
      { wide },
    )
    printNotes(answer.notes)
    return
  }
  printTable(
    SHOWN,
    answer.requests.map((request) => SHOWN.map((name) => request[name] as string | number | undefined)),
    { wide },
  )
  const { next, notes } = answer
  printNotes([...notes, ...(next === undefined ? [] : [`More requests exist; continue with --after ${next}`])])
}

const SHOWN = ['at', 'registry', 'repository', 'method', 'object', 'tag', 'digest', 'status', 'client', 'origin']
