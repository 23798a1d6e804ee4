import { Router } from 'express'
import type { Prometheus } from './prometheus.js'

/** Whether each store answers. */
export type StoreCheck = Record<string, { ok: boolean; version?: string; error?: string }>

type Needs = { checkStores: () => Promise<StoreCheck> }

/** For supervisors: alive, and able to store. */
export const healthRoutes = ({ checkStores }: Needs): Router =>
  Router()
    .get('/healthz', (_request, response) => {
      response.json({ status: 'alive' })
    })
    .get('/readyz', async (_request, response) => {
      const stores = await checkStores()
      const ready = Object.values(stores).every(({ ok }) => ok)
      const answers = Object.fromEntries(
        Object.entries(stores).map(([name, { ok }]) => [name, ok ? 'answers' : 'away']),
      )
      response.status(ready ? 200 : 503).json({ status: ready ? 'ready' : 'not ready', stores: answers })
    })

/** For Prometheus. */
export const prometheusRoutes = (prometheus: Prometheus): Router =>
  Router().get('/metrics', async (_request, response) => {
    const { contentType, text } = await prometheus.exposition()
    response.type(contentType).send(text)
  })

/** For people and `tallyman status`. */
export const statusRoutes = (status: () => Promise<object>): Router =>
  Router().get('/status', async (_request, response) => {
    response.json(await status())
  })
