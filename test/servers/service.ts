import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { eventually, inherited, startProcess, type RunningProcess } from './process.js'

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const NOTIFICATION_TOKEN = 'notification-token'
export const API_TOKEN = 'api-token'
export const USERS_KEY = 'a key for the tests'

/**
 * Puts a users key into a data directory that has none. With one that is made at random, two of fifty users share a register of a sketch,
 * and count once, in 7 % of runs: a sketch has 16,384.
 */
export const putUsersKey = (dataDir: string): void => {
  const file = join(dataDir, 'users.key')
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  if (!existsSync(file)) writeFileSync(file, `${USERS_KEY}\n`, { mode: 0o600 })
}

export type Service = {
  url: string
  /** Milliseconds from its start until it was ready. */
  readyAfter: number
  process: RunningProcess
  /** POSTs a body to the webhook. */
  notify: (body: unknown, headers?: Record<string, string>, signal?: AbortSignal) => Promise<Response>
  /** GETs a path with the API token. */
  get: (path: string) => Promise<Response>
  /** Distinct users of an event in all its sketches, by period. */
  counters: () => Promise<Record<string, number>>
}

type Command = [command: string, ...args: string[]]
/** The built service. */
export const SERVE: Command = [process.execPath, join(ROOT, 'dist', 'main.js'), 'serve']

/** Runs the built service as a process of its own, with only the environment that is given. */
export const startService = async (
  dataDir: string,
  environment: Record<string, string> = {},
  [command, ...args]: Command = SERVE,
): Promise<Service> => {
  if (environment.TALLYMAN_USERS_KEY === undefined) putUsersKey(dataDir)
  const started = Date.now()
  const running = startProcess(command, args, {
    cwd: dataDir,
    env: {
      ...inherited(),
      TALLYMAN_DATA_DIR: dataDir,
      TALLYMAN_LISTEN: '127.0.0.1:0',
      TALLYMAN_NOTIFICATION_TOKENS: NOTIFICATION_TOKEN,
      TALLYMAN_API_TOKENS: API_TOKEN,
      ...environment,
    },
  })
  let url = ''
  await eventually('the service is ready', async () => {
    if (running.child.exitCode !== null) return true
    url = /Tallyman serves on (\S+)/.exec(running.output())?.[1] ?? ''
    return url !== '' && (await fetch(`${url}/readyz`)).ok
  })
  if (running.child.exitCode !== null) throw new Error(`the service ended: ${running.output()}`)
  const readyAfter = Date.now() - started
  const get = async (path: string): Promise<Response> =>
    fetch(`${url}${path}`, { headers: { authorization: `Bearer ${API_TOKEN}` } })
  return {
    url,
    readyAfter,
    process: running,
    get,
    notify: async (body, headers = {}, signal) =>
      fetch(`${url}/container_registry_event/events`, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${NOTIFICATION_TOKEN}`,
          'content-type': 'application/vnd.docker.distribution.events.v1+json',
          ...headers,
        },
        body: typeof body === 'string' ? body : JSON.stringify(body),
        ...(signal && { signal }),
      }),
    counters: async () => {
      const { counters } = (await (await get('/usage_data/counters')).json()) as {
        counters: { key: string; count: number }[]
      }
      return Object.fromEntries(counters.map(({ key, count }) => [key.replace('{hll_counters}_', ''), count]))
    },
  }
}

/** A file of test/fixtures. */
export const fixture = (name: string): string => readFileSync(join(ROOT, 'test', 'fixtures', name), 'utf8')
