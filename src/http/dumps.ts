import { Router } from 'express'
import { dumpNow } from '../storage/embedded/dump-now.js'
import type { Dumps } from '../storage/embedded/dumps.js'
import { noBody, noQuery } from './expected-parameters.js'

/** `POST /dump`: writes a dump of the embedded database now. With PostgreSQL, which has its own tools, the route does not exist. */
export const dumpRoutes = (dumps: Pick<Dumps, 'write' | 'state'>): Router =>
  Router().post('/dump', noQuery, noBody, async (_request, response) => {
    response.json(await dumpNow(dumps))
  })
