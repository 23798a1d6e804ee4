import type { Request, RequestHandler, Response } from 'express'
import type { Database } from '../storage/sql/database.js'
import { BadRequest } from './problem.js'

/** The embedded store runs one statement at a time; with PostgreSQL half of the connections for reading are left to jobs. */
const AT_ONCE: Record<Database['engine'], number> = { pglite: 1, postgresql: 3 }
/** Requests that may wait for their turn; the next one is refused. */
const MOST_WAITING = 50
const LONGEST_WAIT_MS = 30_000
const RETRY_AFTER_SECONDS = '5'

type QuestionTurnsOptions = {
  /** Questions that are answered at once. */
  atOnce: number
  mostWaiting?: number
  longestWaitMs?: number
}

export type QuestionTurns = {
  /**
   * Waits for a turn, in order of arrival.
   * @param gone aborts when the client has left: the request then leaves the queue
   * @returns ends the turn; calls after the first do nothing
   * @throws BadRequest 503 if too many wait, or after the longest wait; the reason of `gone`
   */
  take: (gone: AbortSignal) => Promise<() => void>
}

/** Bounds how many questions read from the stores at once, so that notifications and jobs find a connection and a free moment. */
export const createQuestionTurns = ({
  atOnce,
  mostWaiting = MOST_WAITING,
  longestWaitMs = LONGEST_WAIT_MS,
}: QuestionTurnsOptions): QuestionTurns => {
  let running = 0
  /** In order of arrival; each begins a turn that is free. */
  const waiting = new Set<() => void>()

  const begin = (): (() => void) => {
    running++
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      running--
      const [next] = waiting
      next?.()
    }
  }

  const wait = async (gone: AbortSignal): Promise<() => void> =>
    new Promise((resolve, reject) => {
      const leave = (): void => {
        clearTimeout(timer)
        gone.removeEventListener('abort', giveUp)
        waiting.delete(enter)
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
        reject(busy(`others took their turns for ${longestWaitMs / 1_000} s`))
      }, longestWaitMs)
      gone.addEventListener('abort', giveUp)
      waiting.add(enter)
    })

  return {
    take: async (gone) => {
      gone.throwIfAborted()
      if (running < atOnce) return begin()
      if (waiting.size >= mostWaiting) throw busy(`${mostWaiting} others wait for their turns`)
      return wait(gone)
    },
  }
}

const busy = (why: string): BadRequest =>
  new BadRequest(`503 Service Unavailable: too many questions at once: ${why}; ask again later`, 503)

/**
 * Lets requests with GET take turns, as their answers may read a lot. `/status` has a turn of its own, so that operators see
 * what is the matter. The export of counters needs no turn: the export goes on only as fast as its client reads.
 */
export const takeQuestionTurns = (engine: Database['engine']): RequestHandler => {
  const questions = createQuestionTurns({ atOnce: AT_ONCE[engine] })
  const statuses = createQuestionTurns({ atOnce: 1 })
  return takeTurns(({ method, path }) => {
    if ((method !== 'GET' && method !== 'HEAD') || /\/counters\/export\/?$/i.test(path)) return undefined
    return path === '/status' ? statuses : questions
  })
}

/**
 * A turn ends when the answer is made: not when the client has read the answer, which may take long, nor when the client goes away,
 * as the statements run to their end. Events of a response whose connection is closed are not reliable, so `end` is wrapped.
 * @param turnsFor undefined for a request that needs no turn
 */
const takeTurns =
  (turnsFor: (request: Request) => QuestionTurns | undefined): RequestHandler =>
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

/** @returns undefined if the client went away before its turn */
const turnOf = async (turns: QuestionTurns, response: Response): Promise<(() => void) | undefined> => {
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
