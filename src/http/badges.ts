import { createHash } from 'node:crypto'
import { Router } from 'express'
import { isRepositoryPath } from '../events/reference.js'
import { parsePullsQuery, PullsError, type PullsQuery } from '../pulls/query/parameters.js'
import { queryPulls } from '../pulls/query/query-pulls.js'
import type { PullsContext } from '../pulls/query/notes.js'
import type { Database } from '../storage/sql/database.js'
import { createAnswerCache } from './answer-cache.js'
import { RefusedRequest } from './problem.js'
import { orTooLong } from './or-too-long.js'

type BadgesDeps = {
  database: Database
  context: PullsContext
  /** The repositories with public badges. A name that ends in `*` matches all repositories with that beginning. */
  repositories: readonly string[]
  now: () => Date
}

/** The time for which a badge is cached. Web pages request badges often, and a badge need not be current to the second. */
const SECONDS = 300
/** The largest number of characters of a period, which is part of the image and of the cache key. */
const LONGEST_PERIOD = 60

/** `GET /badge/<repository>.svg?measure=pulls&period=30d`: one number as an image, for other web pages. */
export const badgeRoutes = ({ database, context, repositories, now }: BadgesDeps): Router => {
  const answers = createAnswerCache<string>({ seconds: SECONDS, now })
  const router = Router()
  router.get('/badge/*path', async (request, response) => {
    const path = request.params.path.join('/')
    const repository = path.endsWith('.svg') ? path.slice(0, -'.svg'.length) : ''
    const { measure = 'pulls', period = '30d', ...others } = request.query
    if (!isRepositoryPath(repository) || !isPublic(repository, repositories) || Object.keys(others).length > 0)
      throw new RefusedRequest(404, 'there is no such badge; public_badges names the repositories that have one')
    if (typeof period !== 'string' || period.length > LONGEST_PERIOD)
      throw new RefusedRequest(400, `period: expected one of at most ${LONGEST_PERIOD} characters`)
    const query = queryOf({ measures: measure, period, repository }, now())
    if (query.measures.length > 1) throw new RefusedRequest(400, 'measure: expected one')
    const [name = ''] = query.measures
    const { value: svg, seconds } = await answers.get(JSON.stringify([repository, name, period]), async () => {
      const { total, period: days } = await orTooLong(async () => queryPulls(database.sql, query, context))
      const [value] = Object.values(total)
      return badge(
        `${name.replaceAll('_', ' ')} (${period})`,
        value === undefined ? TOO_FEW : shortNumber(Number(value)),
        `${days.since} to ${days.until} (UTC)`,
      )
    })
    // Express answers 304 if the client has the same image.
    response
      .set('cache-control', `public, max-age=${seconds}`)
      .set('etag', `"${createHash('sha256').update(svg).digest('base64url').slice(0, 22)}"`)
      .type('image/svg+xml')
      .send(svg)
  })
  return router
}

/** The query of a badge. A problem of its one measure has the name of the parameter of badges. @throws PullsError */
const queryOf = (parameters: Parameters<typeof parsePullsQuery>[0], at: Date): PullsQuery => {
  try {
    return parsePullsQuery(parameters, at)
  } catch (error) {
    throw error instanceof PullsError ? new PullsError(error.message.replace(/^measures: /, 'measure: ')) : error
  }
}

const isPublic = (repository: string, patterns: readonly string[]): boolean =>
  patterns.some((one) => (one.endsWith('*') ? repository.startsWith(one.slice(0, -1)) : repository === one))

/** Shown instead of a number with fewer pullers than pulls_least_pullers. */
const TOO_FEW = 'few'

const UNITS = ['', 'k', 'M', 'G', 'T']

/** A number in a short form: 950, 1.2k, 34k, 5.6M, 7.8G. */
export const shortNumber = (value: number): string => {
  let scaled = value
  let unit = 0
  for (; scaled >= 999.5 && unit < UNITS.length - 1; unit++) scaled /= 1_000
  return `${unit > 0 && scaled < 9.95 ? scaled.toFixed(1) : Math.round(scaled)}${UNITS[unit] ?? ''}`
}

const HEIGHT = 20
/** The average width of a character, and the space beside a text, in pixels. */
const CHARACTER = 6.6
const SPACE = 12

const badge = (label: string, value: string, description: string): string => {
  const [left, right] = [label, value].map((text) => Math.round(text.length * CHARACTER + SPACE)) as [number, number]
  const [name, number] = [escaped(label), escaped(value)]
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${left + right}" height="${HEIGHT}" role="img" aria-label="${name}: ${number}">` +
    `<title>${name}: ${number}</title><desc>${escaped(description)}</desc>` +
    `<rect width="${left}" height="${HEIGHT}" fill="#444"/><rect x="${left}" width="${right}" height="${HEIGHT}" fill="#0a6"/>` +
    `<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">` +
    `<text x="${left / 2}" y="14">${name}</text><text x="${left + right / 2}" y="14">${number}</text></g></svg>`
  )
}

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
