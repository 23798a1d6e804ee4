import { setTimeout } from 'node:timers/promises'

/** Lets a request begin when it is its turn, and counts it. */
export type Pace = {
  /** @throws the reason of the signal, once that was given */
  ask: <T>(request: () => Promise<T>) => Promise<T>
  /** Begins a set of requests: once one of them has failed, the rest are not sent. */
  together: () => Pick<Pace, 'ask'>
  /** Requests so far. */
  asked: () => number
}

type Limits = {
  /** Requests that begin in a second, evenly spread. */
  rate: number
  /** Requests under way at the same time. */
  atOnce: number
  signal?: AbortSignal | undefined
}

/** A registry serves others as well: no more requests than it was agreed to bear. */
export const createPace = ({ rate, atOnce, signal }: Limits): Pace => {
  const gap = 1000 / rate
  const waiting: (() => void)[] = []
  let free = atOnce
  let asked = 0
  let next = 0

  const enter = async (): Promise<void> => {
    if (free > 0) free--
    else await new Promise<void>((resolve) => waiting.push(resolve))
  }
  const leave = (): void => {
    const first = waiting.shift()
    if (first) first()
    else free++
  }
  const turn = async (): Promise<void> => {
    const now = performance.now()
    const begin = Math.max(now, next)
    next = begin + gap
    if (begin > now) await setTimeout(begin - now)
  }

  const askWhile = async <T>(goesOn: () => void, request: () => Promise<T>): Promise<T> => {
    await enter()
    try {
      goesOn()
      await turn()
      goesOn()
      asked++
      return await request()
    } finally {
      leave()
    }
  }
  const notAborted = (): void => signal?.throwIfAborted()

  return {
    ask: async (request) => askWhile(notAborted, request),
    together: () => {
      const failures: unknown[] = []
      const goesOn = (): void => {
        notAborted()
        if (failures.length > 0) throw failures[0]
      }
      return {
        ask: async (request) =>
          askWhile(goesOn, request).catch((error: unknown) => {
            failures.push(error)
            throw error
          }),
      }
    },
    asked: () => asked,
  }
}
