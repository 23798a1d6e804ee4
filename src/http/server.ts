import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import express, { type ErrorRequestHandler, type RequestHandler, type Router } from 'express'
import type { Authorize } from './auth.js'
import { NOTIFICATION_PATHS } from './notifications.js'
import { BadRequest, problemOf } from './problem.js'
import { dropUnread } from './unread-answers.js'

type Needs = {
  notifications: (request: IncomingMessage, response: ServerResponse) => void
  /** Routers that anybody may call. */
  open: Router[]
  /** Routers that ask for an API token. */
  closed: Router[]
  authorizeApi: Authorize
  /** An error that is our own fault or a store's, for the log. */
  onError: (error: unknown, status: number) => void
}

/** A slow or silent client may hold a connection, but not for long. */
const REQUEST_LIMIT_MS = 30_000
const HEADERS_LIMIT_MS = 10_000

/** One server: the webhook beside Express, everything else inside. */
export const createHttpServer = (needs: Needs): Server => {
  const app = createExpress(needs)
  const server = createServer((request, response) => {
    // While it stops, every connection ends with its answer.
    if (!server.listening) response.setHeader('connection', 'close')
    const path = request.url?.split('?', 1)[0] ?? ''
    if (NOTIFICATION_PATHS.has(path)) needs.notifications(request, response)
    else app(request, response)
  })
  server.requestTimeout = REQUEST_LIMIT_MS
  server.headersTimeout = HEADERS_LIMIT_MS
  return server
}

const createExpress = ({ open, closed, authorizeApi, onError }: Needs): express.Express => {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  app.use(harmlessAnswers, dropUnread())
  for (const router of open) app.use(router)
  app.use(requireToken(authorizeApi))
  app.use(express.json({ limit: '1mb' }), express.urlencoded({ limit: '1mb', extended: true, parameterLimit: 1_000 }))
  for (const router of closed) app.use(router)
  app.use((request) => {
    throw new BadRequest(`404 Not Found: there is no ${request.method} ${request.path}`, 404)
  })
  app.use(answerProblem(onError))
  return app
}

const harmlessAnswers: RequestHandler = (_request, response, next) => {
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('cache-control', 'no-store')
  next()
}

const requireToken =
  (authorize: Authorize): RequestHandler =>
  (request, response, next) => {
    const authorization = authorize(request.headers)
    if (authorization === 'granted') {
      next()
      return
    }
    const reason =
      authorization === 'missing'
        ? 'send "Authorization: Bearer <API token>"'
        : 'the token is not one of the API tokens'
    response.setHeader('www-authenticate', 'Bearer')
    response.status(401).json({ message: `401 Unauthorized: ${reason}` })
  }

const answerProblem =
  (onError: (error: unknown, status: number) => void): ErrorRequestHandler =>
  (error: unknown, _request, response, next) => {
    if (response.headersSent) {
      next(error)
      return
    }
    const { status, message } = problemOf(error)
    if (status >= 500) onError(error, status)
    response.status(status).json({ message })
  }
