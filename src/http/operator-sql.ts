import { Router } from 'express'
import { z } from 'zod'
import { isRefusal, lacksResources } from '../storage/sql/database.js'
import { MOST_SECONDS, QueryCopyUnavailable, QueryTimedOut, type QueryCopy } from '../storage/sql/query-copy.js'
import { refusalOf } from '../storage/sql/statement-check.js'
import { isStorableText } from '../events/storable-text.js'
import { noQuery } from './expected-parameters.js'
import { RefusedRequest } from './problem.js'
import { checked } from './parameters.js'

type OperatorSqlDeps = {
  /** Runs statements on a copy of the embedded database; undefined with PostgreSQL. */
  queryCopy: QueryCopy | undefined
  /** The setting `sql_route`. */
  isOn: boolean
}

const USUAL_SECONDS = 30

const sqlRequest = z.strictObject({
  statement: z
    .string()
    .min(1, 'is empty')
    .max(100_000, 'is longer than 100,000 characters')
    .refine(isStorableText, 'contains a NUL or half a character'),
  limit: z.number().int().min(1).max(100_000).default(1_000),
  seconds: z.number().int().min(1).max(MOST_SECONDS).default(USUAL_SECONDS),
})

/**
 * `POST /inventory/sql`: one read-only statement on a copy of the embedded database, which only the running service can access
 * (docs/decisions/0011). Off by default, because each statement takes the disk space and the memory of a copy. With PostgreSQL, to
 * which operators can connect with their own rights, the route does not exist.
 */
export const operatorSqlRoutes = ({ queryCopy, isOn }: OperatorSqlDeps): Router => {
  const router = Router()
  if (!queryCopy) return router
  return router.post('/inventory/sql', noQuery, async (request, response) => {
    if (!isOn) throw new RefusedRequest(403, OFF)
    const { statement, limit, seconds } = checked(sqlRequest, request.body)
    const gone = new AbortController()
    response.once('close', () => {
      gone.abort(new Error('the client closed the connection'))
    })
    try {
      response.json(await queryCopy(statement, { rows: limit, seconds }, gone.signal))
    } catch (error) {
      if (gone.signal.aborted) return
      if (lacksResources(error)) throw new RefusedRequest(503, error.message)
      if (isRefusal(error)) throw new RefusedRequest(400, refusalOf(statement, error))
      if (error instanceof QueryCopyUnavailable) throw new RefusedRequest(503, error.message)
      if (error instanceof QueryTimedOut) throw new RefusedRequest(504, error.message)
      throw error
    }
  })
}

const OFF =
  'SQL is off while the service has the embedded database open. Stop the service, and "tallyman sql" opens the database itself; ' +
  'or set sql_route: true (TALLYMAN_SQL_ROUTE=true): then each statement runs on a copy of the database, which takes its size on the ' +
  'disk and up to 2 GB of memory'
