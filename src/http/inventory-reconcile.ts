import { once } from 'node:events'
import { Router, type Response } from 'express'
import { z } from 'zod'
import { selectedRegistries } from '../inventory/reconcile/selected-registries.js'
import { reconcileEach } from '../inventory/reconcile/each-registry.js'
import { isRate, RATE_TEXT } from '../inventory/reconcile/rate.js'
import type { Progress } from '../inventory/reconcile/reconcile.js'
import { reconcileRegistry } from '../inventory/reconcile/reconcile-registry.js'
import type { ReconciliationReport } from '../inventory/reconcile/reports.js'
import type { Registries, Registry } from '../registries/registries.js'
import type { RegistryClient } from '../registries/client/registry-client.js'
import type { Database } from '../storage/sql/database.js'
import { noBody } from './expected-parameters.js'
import { nameText } from './name-text.js'
import { problemOf } from './problem.js'
import { checked } from './parameters.js'

type ReconcileRouteDeps = {
  database: Database
  registries: Registries
  clientFor: (registry: Registry) => RegistryClient
  now: () => Date
  /** The longest time without a line in the response, so that neither the client nor a proxy treats the connection as dead. */
  silenceMs?: number
}

/** One line of the response. Each reconciled registry has a `result`; an `error` is the last line. */
export type ReconcileLine = { progress: Progress } | { result: ReconciliationReport } | { error: { message: string } }

const flag = z
  .enum(['true', 'false'])
  .default('false')
  .transform((text) => text === 'true')

const query = z.strictObject({
  registry: nameText(255).optional(),
  apply: flag,
  force: flag,
  restart: flag,
  reread: flag,
  rate: z
    .string()
    .regex(RATE_TEXT, 'is not a number')
    .transform(Number)
    .refine(isRate, 'expected 0.1 to 1000')
    .optional(),
  blobs: z.enum(['doubtful', 'all', 'none']).default('doubtful'),
})

/** A client that waits for the result does not need every step. */
const PROGRESS_EVERY_MS = 100
const SILENCE_MS = 15_000

/**
 * `POST /inventory/reconcile` compares the inventory with registries while it responds: a line of JSON for each step, repeated
 * if a step takes long. If the client disconnects, the run stops; the next request continues it.
 */
export const reconcileRoutes = ({
  registries,
  clientFor,
  database,
  now,
  silenceMs = SILENCE_MS,
}: ReconcileRouteDeps): Router =>
  Router().post('/inventory/reconcile', noBody, async (request, response) => {
    const { registry, blobs: blobChecks, ...options } = checked(query, request.query)
    const wanted = selectedRegistries(registries, registry)
    const gone = new AbortController()
    response.once('close', () => {
      gone.abort(new Error('the client disconnected'))
    })
    let last: Progress = { registry: '', repository: '', done: 0, of: 0, requests: 0, drift: 0 }
    const repeat = setInterval(() => {
      sendProgress(response, last)
    }, silenceMs)
    const report = sparsely((progress) => {
      sendProgress(response, progress)
      repeat.refresh()
    })
    const onProgress = (progress: Progress): void => {
      const { notice, ...step } = progress
      last = step
      // A notice is always sent, and only once.
      if (notice === undefined) report(progress)
      else send(response, { progress })
    }
    try {
      const { signal } = gone
      const reconcileOne = async (one: Registry): Promise<void> => {
        last = { ...last, registry: one.name }
        const deps = { database, registries, now, client: clientFor(one) }
        const result = await reconcileRegistry(deps, one, { ...options, blobChecks, signal, onProgress })
        if (!send(response, { result })) await once(response, 'drain', { signal })
      }
      await reconcileEach(wanted, reconcileOne, { signal, reasonOf: (error) => problemOf(error).message })
    } catch (error) {
      if (gone.signal.aborted) return
      if (!response.headersSent) throw error
      send(response, { error: { message: problemOf(error).message } })
    } finally {
      clearInterval(repeat)
    }
    response.end()
  })

const send = (response: Response, line: ReconcileLine): boolean => {
  if (!response.headersSent) response.type('application/x-ndjson')
  return response.write(`${JSON.stringify(line)}\n`)
}

/** Left out while the client does not read: the memory of a response is not limited, and a later line replaces this one. */
const sendProgress = (response: Response, progress: Progress): void => {
  if (!response.writableNeedDrain) send(response, { progress })
}

const sparsely = (report: (progress: Progress) => void): ((progress: Progress) => void) => {
  let last = -Infinity
  return (progress) => {
    const now = performance.now()
    if (now - last < PROGRESS_EVERY_MS) return
    last = now
    report(progress)
  }
}
