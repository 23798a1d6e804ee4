import { Router } from 'express'
import { isStorageUnavailable } from '../storage/unavailable.js'
import type { Prometheus } from './prometheus.js'

/** Whether each store answers. */
export type StoreCheck = Record<string, { ok: boolean; version?: string; error?: string }>

type HealthDeps = {
  checkStores: () => Promise<StoreCheck>
  /** Whether the stores accept writes. */
  checkWrites: () => Promise<{ ok: boolean }>
  /** Whether a store failed in a way that only a restart of the process repairs. */
  hasFailed: () => boolean
}

/** For supervisors: whether the process is alive, and whether the service can store events. */
export const healthRoutes = ({ checkStores, checkWrites, hasFailed }: HealthDeps): Router =>
  Router()
    .get('/healthz', (_request, response) => {
      if (hasFailed()) response.status(503).json({ status: 'failed' })
      else response.json({ status: 'alive' })
    })
    .get('/readyz', async (_request, response) => {
      const [stores, writes] = await Promise.all([checkStores(), checkWrites()])
      const ready = !hasFailed() && writes.ok && Object.values(stores).every(({ ok }) => ok)
      const answers = Object.fromEntries(
        Object.entries(stores).map(([name, { ok }]) => [name, ok ? 'answers' : 'away']),
      )
      response.status(ready ? 200 : 503).json({
        status: ready ? 'ready' : 'not ready',
        stores: answers,
        writes: writes.ok ? 'work' : 'fail',
      })
    })

/** For Prometheus. */
export const prometheusRoutes = (prometheus: Prometheus): Router =>
  Router().get('/metrics', async (_request, response) => {
    const { contentType, text } = await prometheus.exposition()
    response.type(contentType).send(text)
  })

/** For people and `tallyman status`. If a store is unavailable, the answer is 503 and names the store. */
export const statusRoutes = ({
  status,
  checkStores,
}: Pick<HealthDeps, 'checkStores'> & { status: () => Promise<object> }): Router =>
  Router().get('/status', async (_request, response) => {
    try {
      response.json(await status())
    } catch (error) {
      if (!isStorageUnavailable(error)) throw error
      const stores = await checkStores()
      const unavailable = Object.keys(stores).filter((name) => stores[name]?.ok === false)
      if (unavailable.length === 0) throw error
      const message = `503 Service Unavailable: ${unavailable.join(' and ')} does not answer; the log has more`
      response.status(503).json({ message, stores })
    }
  })
