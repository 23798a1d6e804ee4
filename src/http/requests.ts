import { Router } from 'express'
import { countRequests } from '../pulls/query/count-requests.js'
import { wholeNumber } from '../pulls/query/parameters.js'
import { queryRequests } from '../pulls/query/query-requests.js'
import { requestsAfter } from '../pulls/query/requests-after.js'
import { parseRequestsQuery, withRecordedNames } from '../pulls/query/requests-parameters.js'
import type { RegistryNames } from '../registries/registry-names.js'
import type { Database } from '../storage/sql/database.js'
import { setAnswerHeaders } from './answer-headers.js'
import { checkSize, formatOf, ndjsonOf } from './formats.js'
import { orTooLong } from './or-too-long.js'
import { RefusedRequest } from './problem.js'

type RequestsRoutesDeps = { database: Database; registryNames: RegistryNames; now: () => Date }

/** `GET /requests`: see docs/api.md. */
export const requestsRoutes = ({ database, registryNames, now }: RequestsRoutesDeps): Router => {
  const router = Router()
  router.get('/requests', async (request, response) => {
    const { since = '0', limit = '1000', ...others } = request.query
    const isFeed = Object.keys(others).length === 0 && !(typeof since === 'string' && DAY.test(since))
    if (isFeed) {
      const rows = await requestsAfter(database.sql, cursorIn(since), wholeNumber('limit', limit, 10_000))
      checkSize(rows)
      response.type('application/x-ndjson').send(ndjsonOf(rows))
      return
    }
    const { format, ...parameters } = request.query
    const send = formatOf(format)
    const query = await withRecordedNames(parseRequestsQuery(parameters, now()), registryNames.valuesOf)
    if (query.groupBy.length > 0) {
      const answer = await orTooLong(async () => countRequests(database.sql, query))
      setAnswerHeaders(response, answer)
      send(response, { whole: answer, ...answer })
      return
    }
    const answer = await orTooLong(async () => queryRequests(database.sql, query))
    const { next, notes, requests: rows } = answer
    setAnswerHeaders(response, { notes: [...notes, ...(next === undefined ? [] : [`More requests: after=${next}`])] })
    send(response, { whole: answer, columns: COLUMNS, rows })
  })
  return router
}

const DAY = /^\d{4}-\d\d-\d\d$/

const COLUMNS = [
  ...['at', 'registry', 'repository', 'method', 'object', 'status', 'tag', 'digest', 'media_type', 'bytes', 'is_late'],
  ...['id', 'origin', 'endpoint', 'source', 'client', 'client_version', 'kind', 'os', 'arch'],
  ...['country', 'network', 'network_kind', 'signed_in'],
]

const cursorIn = (value: unknown): number => {
  const number = Number(value)
  if (typeof value === 'string' && /^\d+$/.test(value) && Number.isSafeInteger(number)) return number
  throw new RefusedRequest(400, 'since: expected the cursor of the last request that you have, or a day')
}
