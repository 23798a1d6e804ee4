import type { RequestHandler } from 'express'
import { includesScope, type Scope } from '../tokens/api-tokens.js'
import { RefusedRequest } from './problem.js'

/** Refuses a request whose API token has a narrower scope. The scope of the token is `response.locals.scope`. */
export const requireScope =
  (needed: Scope): RequestHandler =>
  (_request, response, next) => {
    const { scope } = response.locals as { scope: Scope }
    if (!includesScope(scope, needed)) {
      throw new RefusedRequest(403, `this needs an API token with the scope ${needed}, and yours has ${scope}`)
    }
    next()
  }
