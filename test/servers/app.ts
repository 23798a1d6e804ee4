import type { AddressInfo } from 'node:net'
import { createApp, type App } from '../../src/service/app.js'
import { readConfig } from '../../src/config/config.js'
import { createLog } from '../../src/service/log.js'
import { fixedClock, NOW } from './clock.js'
import { ROOT, API_TOKEN, NOTIFICATION_TOKEN, putUsersKey } from './service.js'
import { embeddedFolder } from './stores.js'

export type TestApp = {
  app: App
  url: string
  /** The data directory. */
  folder: string
  /** Lines of the log so far. */
  log: () => string[]
  notify: (body: unknown, headers?: Record<string, string>, path?: string) => Promise<Response>
  get: (path: string, headers?: Record<string, string>) => Promise<Response>
  post: (path: string, body?: unknown) => Promise<Response>
  close: () => Promise<void>
}

/** The whole service inside the test, on embedded stores unless the environment says otherwise. */
export const openApp = async (
  environment: Record<string, string> = {},
  now: () => Date = fixedClock,
): Promise<TestApp> => {
  const folder = embeddedFolder()
  const settings = {
    TALLYMAN_DATA_DIR: folder.path,
    TALLYMAN_NOTIFICATION_TOKENS: `${NOTIFICATION_TOKEN},another-one`,
    TALLYMAN_API_TOKENS: API_TOKEN,
    ...environment,
  }
  putUsersKey(settings.TALLYMAN_DATA_DIR)
  const lines: string[] = []
  const log = createLog('debug', { write: (line: string) => void lines.push(line) })
  const app = await createApp(readConfig(settings, ROOT), log, now)
  await new Promise<void>((resolve) => app.http.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(app.http.address() as AddressInfo).port}`
  const api = { authorization: `Bearer ${API_TOKEN}` }
  return {
    app,
    url,
    folder: folder.path,
    log: () => lines,
    notify: async (body, headers = {}, path = '/container_registry_event/events') =>
      fetch(url + path, {
        method: 'POST',
        headers: { authorization: `Bearer ${NOTIFICATION_TOKEN}`, 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    get: async (path, headers = api) => fetch(url + path, { headers }),
    post: async (path, body) =>
      fetch(url + path, {
        method: 'POST',
        headers: { ...api, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      }),
    close: async () => {
      app.http.closeAllConnections()
      app.http.close()
      await app.close()
      folder.remove()
    },
  }
}

let sequence = 0

/** An event as a registry would send it, a minute ago by the fixed clock. */
export const notified = (event: object = {}): Record<string, unknown> => ({
  id: `10000000-0000-4000-8000-${String(++sequence).padStart(12, '0')}`,
  timestamp: new Date(NOW.getTime() - 60_000).toISOString(),
  action: 'push',
  target: { repository: 'team/app', tag: '1.0' },
  request: { id: 'r', addr: '203.0.113.9:1234', host: 'registry.example', method: 'PUT', useragent: 'skopeo/1.9.3' },
  actor: { name: 'alice', user_type: 'build' },
  ...event,
})
