import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import express, { type ErrorRequestHandler, type RequestHandler, type Router } from 'express'
import { tokenIn } from '../sources/authorization-header.js'
import type { FindToken } from '../sources/sender.js'
import type { Authorize } from './auth.js'
import { limitConnections, type DroppedConnection } from './connections.js'
import { senderAt, WEBHOOKS } from './notification-paths.js'
import type { NotificationHandler } from './notifications.js'
import { answerInOrder } from './pipelined-requests.js'
import { problemOf, problemWith, RefusedRequest } from './problem.js'
import { limitUnfinished } from './unfinished-requests.js'
import { limitUnread } from './unread-answers.js'
import { requireScope } from './require-scope.js'

type ServerDeps = {
  notifications: NotificationHandler
  /** Routers that need no token. */
  open: Router[]
  /** Routers that need an API token of any scope. */
  metrics: Router[]
  /** Routers that need an API token with the scope `read` for GET, and `admin` for other methods. */
  closed: Router[]
  /** Lets requests to closed routers wait for their turn. */
  queryTurns: RequestHandler
  authorizeApi: Authorize
  /** Looks up a notification token. Such a token is valid only for the webhook. */
  findToken: FindToken
  /** Called when a notification arrived at a path other than the webhook's, with the status of the answer. */
  onMisdirected: (status: number) => void
  /** Called with an error that is a defect of Tallyman or a failure of a store, for the log. */
  onError: (error: unknown, status: number) => void
  /** The largest number of simultaneous connections. */
  mostConnections: number
  /** Called when a connection was closed or refused because too many are open. */
  onDropped: (why: DroppedConnection) => void
  /** Called when a connection was closed because unread answers took too much memory. */
  onUnread: () => void
}

/** Time limits for slow or silent clients, so that they do not occupy connections for long. */
const REQUEST_LIMIT_MS = 30_000
const HEADERS_LIMIT_MS = 10_000
/** How often Node.js checks these limits. With its default of 30 s, a limit of 10 s could take effect after 40 s. */
const LIMITS_EVERY_MS = 2_000

/** Creates the HTTP server. Requests to the webhook bypass Express; Express handles all others. */
export const createHttpServer = (deps: ServerDeps): Server => {
  const app = createExpress(deps)
  const begun = limitUnfinished({ hasToken: (request) => tokenOf(deps, request) !== undefined })
  const unread = limitUnread({ onDropped: deps.onUnread })
  const whenItsTurn = answerInOrder()
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    unread(response)
    noteRequest(response, () => tokenOf(deps, request))
    // While the server stops, each connection is closed after its answer.
    if (!server.listening) response.setHeader('connection', 'close')
    const sender = senderAt(pathOf(request))
    if (sender) deps.notifications(request, response, sender)
    else app(request, response)
  }
  const server = createServer({ connectionsCheckingInterval: LIMITS_EVERY_MS }, (request, response) => {
    begun(request)
    whenItsTurn(request, response, answer)
  })
  // Otherwise Node.js would answer these requests at once, however many answers are unread.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    whenItsTurn(request, response, refuseExpectation)
  })
  const noteRequest = limitConnections(server, { most: deps.mostConnections, onDropped: deps.onDropped })
  server.requestTimeout = REQUEST_LIMIT_MS
  server.headersTimeout = HEADERS_LIMIT_MS
  return server
}

const pathOf = ({ url = '' }: IncomingMessage): string => url.split('?', 1)[0] ?? ''

/** The number of the notification token of a request, if it has one where the sender of its path has it, or else in Authorization. */
const notificationTokenOf = (findToken: FindToken, request: IncomingMessage): number | undefined => {
  const sender = senderAt(pathOf(request))
  const { headers } = request
  const found = typeof sender === 'object' ? sender.verify(headers, findToken) : findToken(tokenIn(headers))
  return typeof found === 'object' ? found.token : undefined
}

/** A name for the token of a request, of either kind. */
const tokenOf = ({ findToken, authorizeApi }: ServerDeps, request: IncomingMessage): string | undefined => {
  const token = notificationTokenOf(findToken, request)
  if (token !== undefined) return `notification ${token}`
  const authorization = authorizeApi(request.headers)
  return typeof authorization === 'object' ? `API ${authorization.token}` : undefined
}

const refuseExpectation = (_request: IncomingMessage, response: ServerResponse): void => {
  response.writeHead(417).end()
}

const createExpress = ({ open, metrics, closed, queryTurns, onError, ...doors }: ServerDeps): RequestListener => {
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  app.use(harmlessAnswers)
  for (const router of open) app.use(router)
  app.use(requireToken(doors))
  for (const router of metrics) app.use(router)
  app.use(requireScopeOfMethod)
  app.use(express.json({ limit: '1mb' }), express.urlencoded({ limit: '1mb', extended: true, parameterLimit: 1_000 }))
  app.use(queryTurns)
  for (const router of closed) app.use(router)
  app.use((request) => {
    throw new RefusedRequest(404, `there is no ${request.method} ${request.path}`)
  })
  app.use(answerProblem(onError))
  return answerAll(app, onError)
}

/**
 * Express calls no handler for a target whose path it cannot read, such as `http://[::1/status`, and would answer in HTML. It is also
 * done with an answer that failed after its headers were sent: then the connection is closed.
 */
const answerAll =
  (app: express.Express, onError: ServerDeps['onError']): RequestListener =>
  (given, answered) => {
    // Express adds its own properties to both objects.
    const [request, response] = [given as express.Request, answered as express.Response]
    app(request, response, (error: unknown = NO_PATH) => {
      if (response.headersSent) {
        request.socket.destroy()
        return
      }
      harmlessAnswers(request, response, () => {
        answerProblem(onError)(error, request, response, () => undefined)
      })
    })
  }

const NO_PATH = new RefusedRequest(400, 'the target of the request has no readable path')

const harmlessAnswers: RequestHandler = (_request, response, next) => {
  response.setHeader('x-content-type-options', 'nosniff')
  response.setHeader('cache-control', 'no-store')
  next()
}

type Doors = Pick<ServerDeps, 'authorizeApi' | 'findToken' | 'onMisdirected'>

const requireToken =
  ({ authorizeApi, findToken, onMisdirected }: Doors): RequestHandler =>
  (request, response, next) => {
    const authorization = authorizeApi(request.headers)
    if (typeof authorization === 'object') {
      response.locals.scope = authorization.scope
      next()
      return
    }
    const isOfSender = notificationTokenOf(findToken, request) !== undefined
    if (isOfSender && request.method === 'POST') {
      onMisdirected(404)
      throw new RefusedRequest(404, `a notification token opens only ${WEBHOOKS}; notifications are sent there`)
    }
    const reason =
      authorization === 'missing'
        ? 'send "Authorization: Bearer <API token>"'
        : `the token is not one of the API tokens${isOfSender ? ', but one of the notification tokens' : ''}`
    response.setHeader('www-authenticate', 'Bearer')
    const { status, message } = problemWith(401, reason)
    response.status(status).json({ message })
  }

/** A request that changes nothing needs the smaller scope. */
const requireScopeOfMethod: RequestHandler = (request, response, next) => {
  const isRead = request.method === 'GET' || request.method === 'HEAD'
  requireScope(isRead ? 'read' : 'admin')(request, response, next)
}

export const answerProblem =
  (onError: (error: unknown, status: number) => void): ErrorRequestHandler =>
  (error: unknown, _request, response, next) => {
    const { status, message } = problemOf(error)
    if (status >= 500 || response.headersSent) onError(error, status)
    if (response.headersSent) {
      // Express closes the connection. If it received the error, it would also print the error to standard error.
      next()
      return
    }
    response.status(status).json({ message })
  }
