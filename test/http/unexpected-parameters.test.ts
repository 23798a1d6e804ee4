import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { openApp, type TestApp } from '../servers/app.js'
import { API_TOKEN } from '../servers/service.js'

let app: TestApp
beforeAll(async () => {
  app = await openApp({
    TALLYMAN_SQL_ROUTE: 'true',
    TALLYMAN_REGISTRIES: '{"registry.example": {"url": "http://127.0.0.1:1"}}',
  })
})
afterAll(async () => app.close())

const EVENT = { event: 'i_container_registry_push' }
/** Bodies that are complete without the parameter that is not expected. */
const BODIES: Record<string, object> = {
  '/inventory/sql': { statement: 'select 1' },
  '/pulls/forget': { origin: 'o' },
  '/registries/join': { from: 'a.example', into: 'b.example' },
  '/usage_data/increment_counter': EVENT,
  '/usage_data/increment_unique_users': EVENT,
  '/usage_data/track_event': EVENT,
  '/usage_data/track_events': { events: [EVENT] },
}
const post = async (path: string, body?: object): Promise<[number, string]> => {
  const response = await app.post(path, body)
  return [response.status, await response.text()]
}

test('each route of POST refuses a parameter that it does not know, in the query and in the body', async () => {
  const routes = app.app.routes.filter(({ method }) => method === 'POST')
  expect(routes.length).toBeGreaterThan(10)
  for (const { path } of routes) {
    const body = BODIES[path.replace('/api/v4', '')]
    const answers = [await post(`${path}?registri=x`, body), await post(path, { ...body, registri: 'x' })]
    expect([path, answers.map(([status]) => status)]).toEqual([path, [400, 400]])
    expect(answers[0]?.[1]).toContain('registri: is not a parameter')
  }
  expect((await post('/usage_data/track_events', { events: [{ ...EVENT, registri: 'x' }] }))[0]).toBe(400)
})

test('a body of any type is refused if no body is expected; an empty object is none', async () => {
  for (const contentType of ['text/plain', 'application/x-www-form-urlencoded', 'application/octet-stream']) {
    const headers = { authorization: `Bearer ${API_TOKEN}`, 'content-type': contentType }
    const response = await fetch(`${app.url}/inventory/summary`, { method: 'POST', headers, body: 'registry=x' })
    expect([contentType, response.status]).toEqual([contentType, 400])
  }
  expect((await post('/inventory/summary', {}))[0]).toBe(200)
})
