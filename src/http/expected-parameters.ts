import type { RequestHandler } from 'express'
import { BadRequest } from './problem.js'

/** Refuses a request with a query, of a route whose parameters are in its body or that has none. */
export const noQuery: RequestHandler = (request, _response, next) => {
  const [name] = Object.keys(request.query)
  if (name !== undefined) throw new BadRequest(`400 Bad Request: ${name}: is not a parameter of the query here`)
  next()
}

/**
 * Refuses a request with a body, of a route whose parameters are in its query or that has none: a parameter that is not read would let
 * the route do more than was asked for. `{}` is no parameter.
 */
export const noBody: RequestHandler = (request, _response, next) => {
  const { 'content-length': length = '0', 'transfer-encoding': encoding } = request.headers
  const isSent = length !== '0' || encoding !== undefined
  if (isSent && !isEmptyObject(request.body)) {
    throw new BadRequest('400 Bad Request: this takes no body; parameters, if there are any, are in the query')
  }
  next()
}

const isEmptyObject = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && !Array.isArray(body) && Object.keys(body).length === 0
