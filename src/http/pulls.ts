import { Router } from 'express'
import { z } from 'zod'
import { lastUsed } from '../inventory/questions/last-used.js'
import type { Registries } from '../registries/registries.js'
import { erase } from '../pulls/roll-up/erase.js'
import { parsePullsQuery, wholeNumber, withRegistryNames, type PullsQuery } from '../pulls/query/parameters.js'
import { queryPulls } from '../pulls/query/query-pulls.js'
import { queryBehaviours } from '../pulls/query/query-behaviours.js'
import { previousNotes } from '../pulls/query/previous-notes.js'
import type { PullsContext } from '../pulls/query/notes.js'
import { queryPullers, parsePullersQuery } from '../pulls/query/query-pullers.js'
import type { RegistryNames } from '../registries/registry-names.js'
import type { Database } from '../storage/sql/database.js'
import { eraseAlsoFrom, type Dumps } from '../storage/embedded/dumps.js'
import { setAnswerHeaders } from './answer-headers.js'
import { noQuery } from './expected-parameters.js'
import { formatOf } from './formats.js'
import { answerQuestion } from './inventory.js'
import { nameText } from './name-text.js'
import { RefusedRequest } from './problem.js'
import { orTooLong } from './or-too-long.js'
import { checked } from './parameters.js'

type PullsRoutesDeps = {
  database: Database
  registries: Pick<Registries, 'list'>
  registryNames: RegistryNames
  context: PullsContext
  /** The dumps of the embedded store. */
  dumps?: Dumps | undefined
  now: () => Date
}

/** `GET /pulls` and the routes below it: see docs/api.md. */
export const pullsRoutes = ({ database, registries, registryNames, context, dumps, now }: PullsRoutesDeps): Router => {
  const router = Router()
  const withNames = async (query: PullsQuery): Promise<PullsQuery> => withRegistryNames(query, registryNames.valuesOf)
  router.get('/pulls', async (request, response) => {
    const { format, ...parameters } = request.query
    const send = formatOf(format)
    const query = await withNames(parsePullsQuery(parameters, now()))
    const answer = await orTooLong(async () => queryPulls(database.sql, query, context))
    const notes = [...previousNotes(answer), ...answer.notes, ...(answer.is_cut ? [MORE_GROUPS] : [])]
    setAnswerHeaders(response, { provisional: answer.provisional, notes })
    send(response, { whole: answer, columns: answer.columns, rows: answer.rows })
  })
  // A query about the inventory, offered here because it depends on pulls.
  router.get('/pulls/last-used', async (request, response) => {
    await answerQuestion(lastUsed, { database, registries, registryNames, request, response, now, pages: 'after' })
  })
  router.get('/pulls/pullers', async (request, response) => {
    const { top = '10', ...parameters } = request.query
    const most = wholeNumber('top', top, 1_000)
    const query = await withNames(parsePullersQuery(parameters, now()))
    const answer = await orTooLong(async () => queryPullers(database.sql, query, most, context))
    setAnswerHeaders(response, answer)
    response.json(answer)
  })
  router.get('/pulls/behaviour', async (request, response) => {
    const { days = '7', limit = '100', repository: wanted, ...others } = request.query
    refuseOthers(others, 'repository, days, limit')
    const { repository } = checked(z.object({ repository: NAME.optional() }), { repository: wanted })
    const look = { now: now(), days: wholeNumber('days', days, 90), limit: wholeNumber('limit', limit, 1_000) }
    const behavioursQuery = { ...look, ...(repository !== undefined && { repository }) }
    const answer = await orTooLong(async () => queryBehaviours(database.sql, behavioursQuery, context))
    setAnswerHeaders(response, answer)
    response.json({ ...answer, days: look.days })
  })
  router.post('/pulls/forget', noQuery, async (request, response) => {
    const { registry, ...erasure } = checked(erasureRequest, request.body)
    const registries = registry === undefined ? undefined : await registryNames.recordedAs(registry)
    response.json(await eraseAlsoFrom(dumps, async () => erase(database, { ...erasure, registries })))
  })
  return router
}

const MORE_GROUPS = 'More groups exist; raise limit.'

const NAME = nameText(300)

const erasureRequest = z
  .strictObject({ origin: NAME.optional(), repository: NAME.optional(), registry: NAME.optional() })
  .refine(({ origin, repository }) => origin !== undefined || repository !== undefined, {
    path: ['origin'],
    error: 'expected an origin, a repository, or both',
  })

const refuseOthers = (others: object, expected: string): void => {
  const [unknown] = Object.keys(others)
  if (unknown !== undefined) throw new RefusedRequest(400, `${unknown}: expected ${expected}`)
}
