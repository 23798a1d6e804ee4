import { Router, type Request, type Response } from 'express'
import { ask, QuestionError, withRegistryName, type InventoryAnswer } from '../inventory/questions/ask.js'
import { retryReads } from '../inventory/read-back/unread-manifests.js'
import { cachesIn, type Registries } from '../registries/registries.js'
import { columnsOf, type Question } from '../inventory/questions/question.js'
import { QUESTIONS } from '../inventory/questions/questions.js'
import type { RegistryNames } from '../registries/registry-names.js'
import type { Database } from '../storage/sql/database.js'
import { setAnswerHeaders } from './answer-headers.js'
import { noBody, noQuery } from './expected-parameters.js'
import { formatOf } from './formats.js'
import { RefusedRequest } from './problem.js'

type InventoryRouteDeps = {
  database: Database
  registries: Pick<Registries, 'list'>
  registryNames: RegistryNames
  summarize: () => Promise<void>
  now: () => Date
}

/** A route for each question, and routes that recompute the summary and retry reads. */
export const inventoryRoutes = ({
  database,
  registries,
  registryNames,
  summarize,
  now,
}: InventoryRouteDeps): Router => {
  const router = Router()
  for (const question of QUESTIONS) {
    router.get(`/inventory/${question.name}`, async (request, response) => {
      await answerQuestion(question, { database, registries, registryNames, request, response, now, pages: 'cursor' })
    })
  }
  router.post('/inventory/summary', noQuery, noBody, async (_request, response) => {
    await summarize()
    response.json({ as_of: now().toISOString() })
  })
  router.post('/inventory/retry-reads', noQuery, noBody, async (_request, response) => {
    response.json({ manifests: await retryReads(database) })
  })
  return router
}

type Asking = Pick<InventoryRouteDeps, 'database' | 'registries' | 'registryNames' | 'now'> & {
  request: Request
  response: Response
  /** The parameter that names the next page. */
  pages: 'cursor' | 'after'
}

/** Sends a page of a question in the requested format. A Link header leads to the next page. */
export const answerQuestion = async (
  question: Question,
  { database, registries, registryNames, request, response, now, pages }: Asking,
): Promise<void> => {
  const { format, [pages]: cursor, ...query } = request.query
  const send = formatOf(format)
  const answer = await answerTo(question, {
    database,
    registries,
    registryNames,
    query: { ...query, ...(cursor !== undefined && { cursor }) },
    now,
  })
  if (answer.next !== null) {
    response.links({ next: linkTo(request, { [pages]: answer.next }) })
  }
  setAnswerHeaders(response, answer)
  send(response, { whole: answer, columns: Object.keys(columnsOf(question, query)), rows: answer.items })
}

/** The path of a request with its query, of which some parameters are replaced. It never contains the authority of the target. */
const linkTo = ({ path, query }: Request, replaced: Record<string, string>): string => {
  const parameters = new URLSearchParams()
  // The query parser of Express reads texts, and lists of texts.
  for (const [name, values] of Object.entries({ ...(query as Record<string, string | string[]>), ...replaced })) {
    for (const value of [values].flat()) parameters.append(name, value)
  }
  return `${path}?${parameters.toString()}`
}

const answerTo = async (
  question: Question,
  {
    database,
    registries,
    registryNames,
    query,
    now,
  }: Omit<Asking, 'request' | 'response' | 'pages'> & { query: object },
): Promise<InventoryAnswer> => {
  try {
    const named = await withRegistryName(query, registryNames.nameOf)
    return await ask(database.sql, question, named, now(), cachesIn(registries.list()))
  } catch (error) {
    if (error instanceof QuestionError) throw new RefusedRequest(400, error.message)
    throw error
  }
}
