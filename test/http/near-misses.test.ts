import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { senderAt } from '../../src/http/notification-paths.js'
import { distribution } from '../../src/sources/distribution/sender.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { createSender } from '../servers/fuzz.js'
import { API_TOKEN, NOTIFICATION_TOKEN } from '../servers/service.js'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(async () => app.close())

const notify = async (path: string, token = NOTIFICATION_TOKEN): Promise<{ status: number; message?: string }> => {
  const response = await app.notify({ events: [notified()] }, { authorization: `Bearer ${token}` }, path)
  const { message } = (await response.json()) as { message?: string }
  return { status: response.status, ...(message !== undefined && { message }) }
}
const refused = async (): Promise<Record<string, number>> =>
  ((await (await app.get('/status')).json()) as { refused: Record<string, number> }).refused

describe('the webhook is found in spite of', () => {
  const ways = [
    ['a slash at the end', '/container_registry_event/events/'],
    ['doubled slashes', '//container_registry_event//events'],
    ['letters of the other case', '/Container_Registry_Event/Events'],
    ['all of them, with a query, under the path of GitLab', '//API/v4//container_registry_event/events//?a=/b'],
  ]
  test.each(ways)('%s', async (_, path) => {
    expect(await notify(path)).toEqual({ status: 200 })
  })

  test.each(ways)('%s, but not without its token', async (_, path) => {
    for (const token of [API_TOKEN, 'wrong', '']) expect((await notify(path, token)).status).toBe(401)
  })

  test('a whole URL instead of the path', async () => {
    const sender = createSender(app.url)
    const answer = await sender.send({
      method: 'POST',
      target: 'http://tallyman.example/container_registry_event/events',
      headers: { authorization: NOTIFICATION_TOKEN },
      body: '{"events":[]}',
    })
    sender.close()
    expect(answer.status).toBe(200)
  })
})

test.each([
  '/container_registry_event',
  '/container_registry_event/event',
  '/container_registry_events/events',
  '/container-registry-event/events',
  '/api/v4/container_registry_event/events/1',
])('a notification to %s is answered with the right path, and counted', async (path) => {
  const before = (await refused())['404'] ?? 0
  expect(await notify(path)).toEqual({
    status: 404,
    message:
      '404 Not Found: there is nothing under this path; notifications are sent to POST /container_registry_event/events',
  })
  expect((await refused())['404']).toBe(before + 1)
})

test.each(['/', '/events', '/api/v4/events', '/inventory/sql', '/nowhere/at/all'])(
  'a notification to %s is recognised by its token, answered with the right path, and counted',
  async (path) => {
    const before = (await refused())['404'] ?? 0
    expect(await notify(path)).toEqual({
      status: 404,
      message: expect.stringMatching(/a notification token opens only POST \/container_registry_event\/events/),
    })
    expect((await refused())['404']).toBe(before + 1)
    expect((await notify(path, 'wrong')).status).toBe(401)
  },
)

test('a token of the other kind is named', async () => {
  expect(await notify('/container_registry_event/events', API_TOKEN)).toEqual({
    status: 401,
    message: '401 Unauthorized: the token is not one of the notification tokens, but one of the API tokens',
  })
  const response = await app.get('/status', { authorization: `Bearer ${NOTIFICATION_TOKEN}` })
  expect(await response.json()).toEqual({
    message: '401 Unauthorized: the token is not one of the API tokens, but one of the notification tokens',
  })
})

test.each([
  ['/container_registry_event/events', distribution],
  [`/container_registry_event/events${'/'.repeat(600)}`, 'near'],
  [`/container_registry_event/events${'/'.repeat(481)}x`, 'near'],
  ['/pulls', undefined],
  ['/', undefined],
  ['', undefined],
  ['/inventory/container_registry_event/events', undefined],
])('the sender at %s', (path, expected) => {
  expect(senderAt(path)).toBe(expected)
})

test.each([200, 400, 401, 404, 405])(
  'the webhook answers %d with headers that keep it out of caches',
  async (status) => {
    const path = status === 404 ? '/container_registry_event' : '/container_registry_event/events'
    const response =
      status === 405
        ? await app.get(path)
        : await app.notify(
            status === 400 ? 'no JSON' : { events: [] },
            status === 401 ? { authorization: 'x' } : {},
            path,
          )
    expect(response.status).toBe(status)
    expect(response.headers.get('x-content-type-options')).toBe('nosniff')
    expect(response.headers.get('cache-control')).toBe('no-store')
  },
)
