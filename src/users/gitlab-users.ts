import { LRUCache } from 'lru-cache'
import { isFields } from '../events/json.js'
import { pauseIn } from '../events/retry-after.js'
import { boundedBody } from '../runtime/bounded-body.js'
import { within } from '../runtime/timeout.js'
import { isOver, msLeft, NO_WAIT, waitOf, type Wait } from '../runtime/wait.js'
import { comparable, DirectoryUnavailable, type UserDirectory } from './directory.js'
import { userIdIn } from './user-id.js'

const REMEMBERED_USERS = 50_000
const REMEMBER_FOUND_MS = 60 * 60 * 1000
const REMEMBER_UNKNOWN_MS = 5 * 60 * 1000
/** A part of the half second that a registry waits. A later answer is cached for the next event. */
const PATIENCE_MS = 300
const REQUEST_LIMIT_MS = 5_000
/** After a failure, no requests are sent for a while, so that events do not wait for GitLab. */
const REST_MS = 10_000
/** The longest pause that GitLab can ask for: its rate limits are per minute. */
const LONGEST_REST_MS = 10 * 60_000
/** The statuses of an invalid request. The name must be invalid, because the rest of the address is the same for all names. */
const REFUSED_NAME = new Set([400, 414, 422])
const LARGEST_ANSWER = 256 * 1024
const REQUESTS_AT_ONCE = 8

type GitlabUsersOptions = {
  /** The API's root, for example `https://gitlab.example.com/api/v4`. */
  url: string
  /** An access token that may read users. */
  token: string
  now: () => Date
  /** Milliseconds for which an event waits for an answer. */
  patienceMs?: number
}

/** Marks a name that GitLab does not know: a cache cannot contain undefined. */
const UNKNOWN_USER = Symbol('unknown user')
type GitlabAnswer = string | typeof UNKNOWN_USER
type RememberedAnswer = { answer: GitlabAnswer; wait: Wait }

/**
 * Looks up the ids of user names in GitLab (GET /users?username=, GitLab's Users API). Answers are cached, there is one request at a
 * time for a name, and an event never waits longer than 0.3 s. If GitLab asks to slow down, no requests are sent until the pause is
 * over.
 */
export const createGitlabUsers = ({ url, token, now, patienceMs = PATIENCE_MS }: GitlabUsersOptions): UserDirectory => {
  const remembered = new LRUCache<string, RememberedAnswer>({
    // With a limit of their number (`max`), the cache would allocate all slots at once.
    maxSize: REMEMBERED_USERS,
    sizeCalculation: () => 1,
  })
  const pendingRequests = new Map<string, Promise<GitlabAnswer>>()
  let rest = NO_WAIT

  const rememberedFor = (name: string): GitlabAnswer | undefined => {
    const known = remembered.get(name)
    return known && !isOver(known.wait, now()) ? known.answer : undefined
  }

  const ask = async (name: string): Promise<GitlabAnswer> => {
    try {
      const answer = await requestId({ url, token, now }, name)
      const ms = answer === UNKNOWN_USER ? REMEMBER_UNKNOWN_MS : REMEMBER_FOUND_MS
      remembered.set(name, { answer, wait: waitOf(ms, now()) })
      return answer
    } catch (error) {
      const requestedMs = error instanceof GitlabBusy ? Math.min(error.retryAfterMs ?? 0, LONGEST_REST_MS) : 0
      const ms = Math.max(REST_MS, requestedMs)
      if (ms > msLeft(rest, now())) rest = waitOf(ms, now())
      throw error
    } finally {
      pendingRequests.delete(name)
    }
  }

  const askOnce = async (name: string): Promise<GitlabAnswer> => {
    const pending = pendingRequests.get(name)
    if (pending) return pending
    if (!isOver(rest, now())) throw new DirectoryUnavailable('GitLab did not answer a moment ago')
    if (pendingRequests.size >= REQUESTS_AT_ONCE) throw new DirectoryUnavailable('too many requests to GitLab at once')
    const request = ask(name)
    pendingRequests.set(name, request)
    return request
  }

  return {
    kind: 'gitlab',
    idOf: async (name) => {
      const compared = comparable(name)
      const known = rememberedFor(compared) ?? (await within(patienceMs, askOnce(compared), tooSlow))
      return known === UNKNOWN_USER ? undefined : known
    },
    close: () => undefined,
  }
}

const tooSlow = (): Error => new DirectoryUnavailable('GitLab takes too long')
const tooLarge = (): Error => new DirectoryUnavailable('the answer of GitLab is too large')

/** GitLab asks to slow down. */
class GitlabBusy extends DirectoryUnavailable {
  constructor(
    status: number,
    readonly retryAfterMs: number | undefined,
  ) {
    super(`GitLab answered ${status}: it asks to slow down`)
  }
}

const requestId = async ({ url, token, now }: GitlabUsersOptions, name: string): Promise<GitlabAnswer> => {
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
    if (REFUSED_NAME.has(response.status)) return UNKNOWN_USER
    const pause = pauseIn(response, now())
    if (pause) throw new GitlabBusy(response.status, pause.retryAfterMs)
    throw new DirectoryUnavailable(`GitLab answered ${response.status}`)
  }
  return idIn((await boundedBody(response, LARGEST_ANSWER, tooLarge)).toString('utf8'), name)
}

const idIn = (body: string, name: string): GitlabAnswer => {
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
  if (!user) return UNKNOWN_USER
  const id = userIdIn(user.id)
  if (id === undefined) throw new DirectoryUnavailable('the answer of GitLab contains a user without an id')
  return id
}
