import { LRUCache } from 'lru-cache'
import { isFields } from '../events/json.js'
import { pauseIn } from '../events/retry-after.js'
import { comparable, DirectoryUnavailable, type UserDirectory } from './directory.js'
import { userIdIn } from './user-id.js'

const REMEMBERED_USERS = 50_000
const REMEMBER_FOUND_MS = 60 * 60 * 1000
const REMEMBER_UNKNOWN_MS = 5 * 60 * 1000
/** Part of the half second that a registry grants us; what comes later is remembered for the next event. */
const PATIENCE_MS = 300
const REQUEST_LIMIT_MS = 5_000
/** After a failure GitLab is left alone for a while, and events do not wait for it. */
const REST_MS = 10_000
/** A longer pause is not waited for, whatever GitLab asks for: its rate limits are per minute. */
const LONGEST_REST_MS = 10 * 60_000
/** What is wrong with the question is wrong with the name: the rest of the address is the same for all. */
const REFUSED_NAME = new Set([400, 414, 422])
const LARGEST_ANSWER = 256 * 1024
const REQUESTS_AT_ONCE = 8

type Settings = {
  /** The API's root, as `https://gitlab.example.com/api/v4`. */
  url: string
  /** An access token that may read users. */
  token: string
  now: () => Date
  /** How long an event waits for an answer, in milliseconds. */
  patienceMs?: number
}

/** NOBODY stands for a name that GitLab does not know: a cache cannot hold undefined. */
const NOBODY = Symbol('nobody')
type Answer = string | typeof NOBODY

/**
 * Asks a GitLab for the id of a user name (GET /users?username=, GitLab's Users API). Answers are remembered, questions
 * for one name are asked once, and an event never waits longer than 0.3 s. If GitLab asks to slow down, it is not asked until
 * the pause is over.
 */
export const createGitlabUsers = ({ url, token, now, patienceMs = PATIENCE_MS }: Settings): UserDirectory => {
  const remembered = new LRUCache<string, Answer>({
    // Limited by their number, all places were allocated at once.
    maxSize: REMEMBERED_USERS,
    sizeCalculation: () => 1,
    perf: { now: () => now().getTime() },
    ttlResolution: 0,
  })
  const asking = new Map<string, Promise<Answer>>()
  let restUntil = 0

  const ask = async (name: string): Promise<Answer> => {
    try {
      const answer = await requestId({ url, token, now }, name)
      remembered.set(name, answer, { ttl: answer === NOBODY ? REMEMBER_UNKNOWN_MS : REMEMBER_FOUND_MS })
      return answer
    } catch (error) {
      const asked = error instanceof GitlabBusy ? Math.min(error.retryAfterMs ?? 0, LONGEST_REST_MS) : 0
      restUntil = Math.max(restUntil, now().getTime() + Math.max(REST_MS, asked))
      throw error
    } finally {
      asking.delete(name)
    }
  }

  const askOnce = async (name: string): Promise<Answer> => {
    const underWay = asking.get(name)
    if (underWay) return underWay
    if (now().getTime() < restUntil) throw new DirectoryUnavailable('GitLab did not answer a moment ago')
    if (asking.size >= REQUESTS_AT_ONCE) throw new DirectoryUnavailable('too many questions to GitLab at once')
    const question = ask(name)
    asking.set(name, question)
    return question
  }

  return {
    kind: 'gitlab',
    idOf: async (name) => {
      const compared = comparable(name)
      const known = remembered.get(compared) ?? (await patiently(askOnce(compared), patienceMs))
      return known === NOBODY ? undefined : known
    },
    close: () => undefined,
  }
}

const patiently = async <T>(question: Promise<T>, patienceMs: number): Promise<T> => {
  let timer
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new DirectoryUnavailable('GitLab takes too long'))
    }, patienceMs)
  })
  try {
    return await Promise.race([question, limit])
  } finally {
    clearTimeout(timer)
    question.catch(() => undefined)
  }
}

/** GitLab asks to slow down. */
class GitlabBusy extends DirectoryUnavailable {
  constructor(
    status: number,
    readonly retryAfterMs: number | undefined,
  ) {
    super(`GitLab answered ${status}: it asks to slow down`)
  }
}

const requestId = async ({ url, token, now }: Settings, name: string): Promise<Answer> => {
  const address = `${url.replace(/\/+$/, '')}/users?username=${encodeURIComponent(name)}`
  const response = await fetch(address, {
    headers: { 'private-token': token, accept: 'application/json' },
    redirect: 'error',
    signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
  }).catch((error: unknown) => {
    throw new DirectoryUnavailable(`GitLab cannot be reached: ${error instanceof Error ? error.name : 'error'}`)
  })
  if (!response.ok) {
    await response.body?.cancel()
    if (REFUSED_NAME.has(response.status)) return NOBODY
    const pause = pauseIn(response, now())
    if (pause) throw new GitlabBusy(response.status, pause.retryAfterMs)
    throw new DirectoryUnavailable(`GitLab answered ${response.status}`)
  }
  return idIn(await boundedText(response), name)
}

const boundedText = async (response: Response): Promise<string> => {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > LARGEST_ANSWER) throw new DirectoryUnavailable('the answer of GitLab is too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

const idIn = (body: string, name: string): Answer => {
  let users: unknown
  try {
    users = JSON.parse(body)
  } catch {
    throw new DirectoryUnavailable('the answer of GitLab is not JSON')
  }
  if (!Array.isArray(users)) throw new DirectoryUnavailable('the answer of GitLab is not a list of users')
  const user = users
    .filter(isFields)
    .find(({ username }) => typeof username === 'string' && comparable(username) === name)
  if (!user) return NOBODY
  const id = userIdIn(user.id)
  if (id === undefined) throw new DirectoryUnavailable('the answer of GitLab contains a user without an id')
  return id
}
