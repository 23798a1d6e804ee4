import { Router } from 'express'
import { z } from 'zod'
import { isRefusal, type Database } from '../storage/database.js'
import { refusalOf } from '../storage/statement-check.js'
import { isStorableText } from '../events/storable-text.js'
import { BadRequest } from './problem.js'
import { checked } from './usage-data.js'

type OperatorSqlDeps = {
  database: Database
  /** The setting `sql_route`. */
  isOn: boolean
}

const SECONDS = 30

const sqlRequest = z.object({
  statement: z
    .string()
    .min(1, 'is empty')
    .max(100_000, 'is longer than 100,000 characters')
    .refine(isStorableText, 'contains a NUL or half a character'),
  limit: z.number().int().min(1).max(100_000).default(1_000),
})

/**
 * `POST /inventory/sql`: one read-only statement on the embedded database, which only the service can reach while it runs. Off by
 * default, since nothing ends a statement there (docs/decisions/0011). A PostgreSQL server has ways in with rights of their own:
 * there is no such route.
 */
export const operatorSqlRoutes = ({ database, isOn }: OperatorSqlDeps): Router => {
  const router = Router()
  if (database.engine === 'postgresql') return router
  return router.post('/inventory/sql', async (request, response) => {
    if (!isOn) throw new BadRequest(`403 Forbidden: ${OFF}`, 403)
    const { statement, limit } = checked(sqlRequest, request.body)
    try {
      response.json(await database.readOnly(statement, { rows: limit, seconds: SECONDS }))
    } catch (error) {
      if (isRefusal(error)) throw new BadRequest(`400 Bad Request: ${refusalOf(statement, error)}`)
      throw error
    }
  })
}

const OFF =
  'SQL is off while the service has the embedded database open. Stop the service, and "tallyman sql" opens the database itself; ' +
  'or set sql_route: true (TALLYMAN_SQL_ROUTE=true): then nothing ends a statement that takes long, and the service stores no ' +
  'notification until the statement has ended'
