import type { Request, RequestHandler, Response } from 'express'
import type { Database } from '../storage/sql/database.js'
import { RefusedRequest } from './problem.js'

/** The embedded database runs one statement at a time. With PostgreSQL, half of the connections for reads are left to jobs. */
const AT_ONCE: Record<Database['engine'], number> = { pglite: 1, postgresql: 3 }
/** The largest number of queued requests. Further ones are refused. */
const MOST_QUEUED = 50
const LONGEST_WAIT_MS = 30_000
const RETRY_AFTER_SECONDS = '5'

type QueryTurnsOptions = {
  /** The number of queries that run at the same time. */
  atOnce: number
  mostQueued?: number
  longestWaitMs?: number
}

export type QueryTurns = {
  /**
   * Waits for a turn, in order of arrival.
   * @param gone is aborted when the client disconnects: then the request leaves the queue
   * @returns a function that ends the turn; further calls do nothing
   * @throws RefusedRequest 503 if too many requests are queued, or after the longest wait; the reason of `gone`
   */
  take: (gone: AbortSignal) => Promise<() => void>
}

/** Limits how many queries read from the stores at once, so that notifications and jobs get a connection and processor time. */
export const createQueryTurns = ({
  atOnce,
  mostQueued = MOST_QUEUED,
  longestWaitMs = LONGEST_WAIT_MS,
}: QueryTurnsOptions): QueryTurns => {
  let running = 0
  /** In order of arrival. Each function takes a free turn. */
  const queued = new Set<() => void>()

  const begin = (): (() => void) => {
    running++
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      running--
      const [next] = queued
      next?.()
    }
  }

  const wait = async (gone: AbortSignal): Promise<() => void> =>
    new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        gone.removeEventListener('abort', giveUp)
        queued.delete(enter)
      }
      const enter = (): void => {
        leave()
        resolve(begin())
      }
      const giveUp = (): void => {
        leave()
        reject(gone.reason as Error)
      }
      const timer = setTimeout(() => {
        leave()
        reject(busy(`other queries ran for ${longestWaitMs / 1_000} s`))
      }, longestWaitMs)
      gone.addEventListener('abort', giveUp)
      queued.add(enter)
    })

  return {
    take: async (gone) => {
      gone.throwIfAborted()
      if (running < atOnce) return begin()
      if (queued.size >= mostQueued) throw busy(`${mostQueued} queries are already queued`)
      return wait(gone)
    },
  }
}

const busy = (why: string): RefusedRequest =>
  new RefusedRequest(503, `too many queries at once: ${why}; try again later`)

/**
 * Makes GET requests take turns, because their answers may read much data. `/status` has a separate turn, so that operators can see
 * the state under load. The export of counters needs no turn: it proceeds only as fast as its client reads.
 */
export const takeQueryTurns = (engine: Database['engine']): RequestHandler => {
  const queries = createQueryTurns({ atOnce: AT_ONCE[engine] })
  const statuses = createQueryTurns({ atOnce: 1 })
  return takeTurns(({ method, path }) => {
    if ((method !== 'GET' && method !== 'HEAD') || /\/counters\/export\/?$/i.test(path)) return undefined
    return path === '/status' ? statuses : queries
  })
}

/**
 * A turn ends when the answer is complete. It does not last until the client has read the answer, which may take long. It does not
 * end when the client disconnects, because the statements still run. Events of a response with a closed connection are not reliable,
 * so `end` is wrapped.
 * @param turnsFor undefined for a request that needs no turn
 */
const takeTurns =
  (turnsFor: (request: Request) => QueryTurns | undefined): RequestHandler =>
  async (request, response, next) => {
    const turns = turnsFor(request)
    if (!turns) {
      next()
      return
    }
    const endTurn = await turnOf(turns, response)
    if (!endTurn) return
    const end = response.end.bind(response) as (...given: unknown[]) => Response
    response.end = (...given: unknown[]) => {
      endTurn()
      return end(...given)
    }
    next()
  }

/** @returns undefined if the client disconnected before its turn */
const turnOf = async (turns: QueryTurns, response: Response): Promise<(() => void) | undefined> => {
  const gone = new AbortController()
  const giveUp = (): void => {
    gone.abort(new Error('the client closed the connection'))
  }
  response.once('close', giveUp)
  if (response.destroyed) giveUp()
  try {
    return await turns.take(gone.signal)
  } catch (error) {
    if (gone.signal.aborted) return undefined
    response.setHeader('retry-after', RETRY_AFTER_SECONDS)
    throw error
  } finally {
    response.off('close', giveUp)
  }
}
