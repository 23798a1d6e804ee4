import type { RequestHandler } from 'express'
import { RefusedRequest } from './problem.js'

/** Refuses a query, for a route with parameters in its body or without parameters. */
export const noQuery: RequestHandler = (request, _response, next) => {
  const [name] = Object.keys(request.query)
  if (name !== undefined) throw new RefusedRequest(400, `${name}: is not a parameter of the query here`)
  next()
}

/**
 * Refuses a body, for a route with parameters in its query or without parameters: the route would ignore parameters in the body, and
 * could do more than the client intended. `{}` contains no parameter.
 */
export const noBody: RequestHandler = (request, _response, next) => {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers
  const isSent = length !== '0' || encoding !== undefined
  if (isSent && !isEmptyObject(request.body)) {
    throw new RefusedRequest(400, 'this route takes no body; put parameters into the query')
  }
  next()
}

const isEmptyObject = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && !Array.isArray(body) && Object.keys(body).length === 0
