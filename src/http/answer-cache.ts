import { LRUCache } from 'lru-cache'
import { RefusedRequest } from './problem.js'

/** The largest number of cached answers, and of requests that wait for other answers. Further requests are refused. */
const MOST_KEPT = 1_000
const MOST_QUEUED = 50

/**
 * If computing an answer takes at least `ms`, a pause of `pause` times its duration follows: these requests need no token, and other
 * requests need the database.
 */
const SLOW = { ms: 200, pause: 9 }

const LONGEST_PAUSE_MS = 60_000

type CachedAnswer<Value> = { value: Promise<Value>; requestedAt: number }

type AnswerCache<Value> = {
  /**
   * The cached answer, or a new one, and the whole seconds for which it stays cached.
   * @throws RefusedRequest 503 if too many answers are queued, or during the pause after a slow answer; the error of `compute`, which is
   *   not cached
   */
  get: (key: string, compute: () => Promise<Value>) => Promise<{ value: Value; seconds: number }>
}

/** Caches answers to requests without a token. Each answer is computed once in `seconds`, and only one at a time. */
export const createAnswerCache = <Value>({
  seconds,
  now,
}: {
  seconds: number
  now: () => Date
}): AnswerCache<Value> => {
  const answers = new LRUCache<string, CachedAnswer<Value>>({ max: MOST_KEPT })
  let queued = 0
  let pausedUntil = -Infinity
  let last: Promise<unknown> = Promise.resolve()

  const withPause = async (work: () => Promise<Value>): Promise<Value> => {
    const since = now().getTime()
    // If the clock was set back by more than the longest pause, the pause is ignored.
    if (since < pausedUntil && since > pausedUntil - LONGEST_PAUSE_MS)
      throw new RefusedRequest(503, 'badges took too long just now; try again in a minute')
    try {
      return await work()
    } finally {
      const tookMs = now().getTime() - since
      if (tookMs >= SLOW.ms) pausedUntil = since + tookMs + Math.min(SLOW.pause * tookMs, LONGEST_PAUSE_MS)
    }
  }

  const compute = (key: string, work: () => Promise<Value>): CachedAnswer<Value> => {
    if (queued >= MOST_QUEUED) throw new RefusedRequest(503, 'too many badges at once; try again')
    queued++
    const value = last.then(async () => withPause(work)).finally(() => queued--)
    const answer = { value, requestedAt: now().getTime() }
    last = value.catch(() => {
      if (answers.get(key) === answer) answers.delete(key)
    })
    answers.set(key, answer)
    return answer
  }

  const age = ({ requestedAt }: CachedAnswer<Value>): number => (now().getTime() - requestedAt) / 1_000
  // An answer from the future was computed before the clock was set back.
  const isFresh = (answer: CachedAnswer<Value>): boolean => age(answer) >= 0 && age(answer) < seconds

  return {
    get: async (key, work) => {
      const kept = answers.get(key)
      const answer = kept && isFresh(kept) ? kept : compute(key, work)
      const value = await answer.value
      return { value, seconds: isFresh(answer) ? Math.ceil(seconds - age(answer)) : 0 }
    },
  }
}
