import { LRUCache } from 'lru-cache'
import { BadRequest } from './problem.js'

/** Answers that are kept, and requests for others that wait: whoever asks for more is sent away. */
const MOST_KEPT = 1_000
const MOST_WAITING = 50

/** An answer that takes longer to compute is followed by a pause of so many times its time: anybody may ask, and others need the database. */
const SLOW = { ms: 200, pause: 9 }

const LONGEST_PAUSE_MS = 60_000

type Kept<Value> = { value: Promise<Value>; askedAt: number }

type AnswerCache<Value> = {
  /**
   * The kept answer, or a new one, and the whole seconds for which it stays.
   * @throws BadRequest 503 if too many others wait to be computed, or after one that took long; what `compute` throws, which is not kept
   */
  get: (key: string, compute: () => Promise<Value>) => Promise<{ value: Value; seconds: number }>
}

/** Keeps answers that anybody may ask for. Each is computed once in its time, and only one at once. */
export const createAnswerCache = <Value>({
  seconds,
  now,
}: {
  seconds: number
  now: () => Date
}): AnswerCache<Value> => {
  const answers = new LRUCache<string, Kept<Value>>({ max: MOST_KEPT })
  let waiting = 0
  let pausedUntil = -Infinity
  let last: Promise<unknown> = Promise.resolve()

  const inItsTime = async (work: () => Promise<Value>): Promise<Value> => {
    const since = now().getTime()
    // A clock that was set back by more than any pause pauses nothing.
    if (since < pausedUntil && since > pausedUntil - LONGEST_PAUSE_MS)
      throw new BadRequest('503 Service Unavailable: badges took too long just now; try again in a minute', 503)
    try {
      return await work()
    } finally {
      const tookMs = now().getTime() - since
      if (tookMs >= SLOW.ms) pausedUntil = since + tookMs + Math.min(SLOW.pause * tookMs, LONGEST_PAUSE_MS)
    }
  }

  const compute = (key: string, work: () => Promise<Value>): Kept<Value> => {
    if (waiting >= MOST_WAITING)
      throw new BadRequest('503 Service Unavailable: too many badges at once; try again', 503)
    waiting++
    const value = last.then(async () => inItsTime(work)).finally(() => waiting--)
    const answer = { value, askedAt: now().getTime() }
    last = value.catch(() => {
      if (answers.get(key) === answer) answers.delete(key)
    })
    answers.set(key, answer)
    return answer
  }

  const age = ({ askedAt }: Kept<Value>): number => (now().getTime() - askedAt) / 1_000
  // An answer of the future is one from before the clock was set back.
  const isFresh = (answer: Kept<Value>): boolean => age(answer) >= 0 && age(answer) < seconds

  return {
    get: async (key, work) => {
      const kept = answers.get(key)
      const answer = kept && isFresh(kept) ? kept : compute(key, work)
      const value = await answer.value
      return { value, seconds: isFresh(answer) ? Math.ceil(seconds - age(answer)) : 0 }
    },
  }
}
