import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { NOW } from '../servers/clock.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { NOTIFICATION_TOKEN } from '../servers/service.js'

/** Bodies at once, and events of each: small ones, so that the limit of bytes allows as many. */
const BODIES = 2
const EVENTS = 20_000

const NAMED_TOKEN = 'token-of-one-registry'

let app: TestApp
beforeAll(async () => {
  app = await openApp({
    TALLYMAN_NOTIFICATION_TOKENS: JSON.stringify({ '*': NOTIFICATION_TOKEN, 'registry.example': NAMED_TOKEN }),
  })
})
afterAll(async () => app.close())

test('while bodies of many small events are read and stored, others are answered', async () => {
  const timestamp = new Date(NOW.getTime() - 60_000).toISOString()
  const target = { repository: 'team/app' }
  // Half of the bodies have no UUIDs, and a token with a name: their ids are made here.
  const bodies = Array.from({ length: BODIES }, (_, body) => {
    const isNamed = body % 2 === 1
    const events = Array.from({ length: EVENTS }, (__, i) => ({
      ...{ timestamp, action: 'pull', target: { ...target, tag: `${body}-${i}` } },
      ...(!isNamed && { id: notified().id }),
    }))
    return { text: JSON.stringify({ events }), headers: isNamed ? { authorization: `Bearer ${NAMED_TOKEN}` } : {} }
  })
  // The first statements of a database take long.
  await app.notify({ events: [notified({ action: 'pull' }), notified()] })
  let others = 0
  const unanswered = new Set(bodies)
  const answers = bodies.map(async (body) => app.notify(body.text, body.headers).finally(() => unanswered.delete(body)))
  while (unanswered.size > 0) {
    expect((await app.notify({ events: [notified()] })).status).toBe(200)
    others++
  }
  const statuses = (await Promise.all(answers)).map(({ status }) => status)
  expect(statuses).toContain(200)
  expect(statuses.every((status) => status === 200 || status === 503)).toBe(true)
  expect(others).toBeGreaterThan(10)
})
