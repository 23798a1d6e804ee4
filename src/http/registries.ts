import { Router } from 'express'
import { z } from 'zod'
import { joinRegistries } from '../registries/join-registries.js'
import { listRegistries } from '../registries/list-registries.js'
import { noQuery } from './expected-parameters.js'
import { nameText } from './name-text.js'
import { checked } from './parameters.js'

type RegistriesRouteDeps = Parameters<typeof listRegistries>[0] & {
  /** Stores what was heard since the last write, so that the answer contains a registry whose first event has just arrived. */
  flush: () => Promise<unknown>
}

const name = nameText(255)
const join = z.strictObject({ from: name, into: name, dry_run: z.boolean().default(false) })

/** `GET /registries` lists registries and how each is identified; `POST /registries/join` makes a registry an alias of another. */
export const registriesRoutes = (deps: RegistriesRouteDeps): Router =>
  Router()
    .get('/registries', async (_request, response) => {
      await deps.flush()
      response.json({ registries: await listRegistries(deps) })
    })
    .post('/registries/join', noQuery, async (request, response) => {
      const { from, into, dry_run: dryRun } = checked(join, (request.body as unknown) ?? {})
      response.json(await joinRegistries(deps, { from, into, dryRun }))
    })
