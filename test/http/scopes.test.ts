import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { includesScope, SCOPES, type Scope } from '../../src/tokens/api-tokens.js'
import type { Route } from '../../src/http/routes.js'
import { openApp, type TestApp } from '../servers/app.js'
import { ROOT } from '../servers/service.js'

let app: TestApp
const TOKENS: Record<Scope, string> = {
  metrics: 'a-token-to-scrape',
  read: 'a-token-to-read',
  admin: 'a-token-for-all',
}
beforeAll(async () => {
  app = await openApp({ TALLYMAN_API_TOKENS: JSON.stringify(TOKENS), TALLYMAN_SQL_ROUTE: 'true' })
})
afterAll(async () => app.close())

const OPEN = [
  '/healthz',
  '/readyz',
  '/usage_data/metric_definitions',
  '/api/v4/usage_data/metric_definitions',
  '/badge/*path',
]
/** The scope that a route needs, by the rule that docs/api.md states. */
const neededBy = ({ method, path }: Route): Scope | 'none' => {
  if (OPEN.includes(path)) return 'none'
  if (path === '/metrics') return 'metrics'
  return method === 'GET' && !path.endsWith('/counters/export') ? 'read' : 'admin'
}
const statusOf = async ({ method, path }: Route, token?: string): Promise<{ status: number; text: string }> => {
  const headers = {
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    'content-type': 'application/json',
  }
  const response = await fetch(app.url + path.replace(/[*:]\w+/g, 'x'), {
    method,
    headers,
    ...(method === 'POST' && { body: '{"statement":""}' }),
  })
  return { status: response.status, text: await response.text() }
}

test('each route × each scope: what is below its need is answered 403 with the scope it needs', async () => {
  const { routes } = app.app
  expect(routes.length).toBeGreaterThan(40)
  for (const route of routes) {
    const needed = neededBy(route)
    for (const scope of SCOPES) {
      const { status, text } = await statusOf(route, TOKENS[scope])
      const isAllowed = needed === 'none' || includesScope(scope, needed)
      expect([route, scope, status === 403 || status === 401]).toEqual([route, scope, !isAllowed])
      if (!isAllowed)
        expect((JSON.parse(text) as { message: string }).message).toMatch(
          // A route that needs more than its method is only found with what its method needs.
          new RegExp(
            `^403 Forbidden: this needs an API token with the scope (${needed}|read), and yours has ${scope}$`,
          ),
        )
    }
    expect([route, (await statusOf(route)).status === 401]).toEqual([route, needed !== 'none'])
  }
})

describe('a scope cannot be widened', () => {
  test.each([
    ['GET', '/usage_data/counters/EXPORT', 'read'],
    ['GET', '/usage_data/counters/export/', 'read'],
    ['GET', '/usage_data/counters/%65xport', 'read'],
    ['HEAD', '/usage_data/counters/export', 'read'],
    ['POST', '/INVENTORY/sql/', 'read'],
    ['POST', '/pulls/forget?_method=GET', 'read'],
    ['PUT', '/pulls', 'read'],
    ['POST', '/metrics', 'metrics'],
    ['GET', '/Status', 'metrics'],
    ['HEAD', '/pulls', 'metrics'],
    ['GET', '/metrics/../status', 'metrics'],
    ['GET', '/nowhere', 'metrics'],
  ] as const)('by %s %s with the scope %s', async (method, path, scope) => {
    const response = await fetch(app.url + path, {
      method,
      headers: { authorization: `Bearer ${TOKENS[scope]}`, 'x-http-method-override': 'GET' },
    })
    // A path that is none, as one with a letter escaped, opens nothing either.
    expect([403, 404]).toContain(response.status)
  })
})

test('docs/api.md has the scope of each route', () => {
  const page = readFileSync(join(ROOT, 'docs', 'api.md'), 'utf8')
  const rows = [...page.matchAll(/^\| `(GET|POST) ([^`]+)` +\| ([a-z]+) +\|$/gm)].map(
    ([, method = '', path = '', scope]) => [`${method} ${path}`, scope],
  )
  const routes = app.app.routes
    .filter(({ path }) => !path.startsWith('/api/v4/'))
    .map((route) => [`${route.method} ${route.path.replace('*path', '…')}`, neededBy(route)])
  expect(new Map(rows as [string, string][])).toEqual(new Map(routes as [string, string][]))
})
