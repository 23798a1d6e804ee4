import { afterEach, expect, test } from '@jest/globals'
import { notified, openApp } from '../servers/app.js'
import { REAL_EVENTS } from '../servers/fuzz-envelopes.js'
import { FUZZED_TOKENS, OTHER_ROUTES, requestToAny } from '../servers/fuzz-requests.js'
import { startFuzzed, type FuzzedService } from '../servers/fuzzed-service.js'

/** Faults of the service. 502 is a registry's, 504 a query that takes too long. */
const FAULTS = new Set([500, 501, 503])
/** They answer 503 if a store needs more than 2 s, as it may on a busy machine; badges, after one that took 200 ms. */
const READINESS = /^\/(?:readyz|status)\b/
const BADGE_PAUSE = 'badges took too long just now'
const ENVIRONMENT = {
  TALLYMAN_API_TOKENS: JSON.stringify(FUZZED_TOKENS),
  TALLYMAN_REGISTRIES: '{"registry.example": {"url": "http://127.0.0.1:1"}}',
  TALLYMAN_PUBLIC_BADGES: '*',
}

let fuzzed: FuzzedService
afterEach(async () => fuzzed.close())

test.each([
  ['the embedded stores', 'embedded', 2_000],
  ['Redis and PostgreSQL', 'servers', 200],
] as const)('no request is a fault of the service, with %s', async (_, stores, usual) => {
  const { app, close } = await openApp(ENVIRONMENT)
  const { routes } = app
  await close()
  fuzzed = await startFuzzed(stores, ENVIRONMENT)
  await fuzzed.service.notify({ events: [...REAL_EVENTS, notified(), notified({ action: 'pull' })] })
  const requests = requestToAny([...routes, ...OTHER_ROUTES])
  const summary = await fuzzed.fuzz(requests, usual, ({ target }, { status, headers, body }) => {
    const isSlow = status === 503 && (READINESS.test(target) || body.includes(BADGE_PAUSE))
    if (FAULTS.has(status) && !isSlow) throw new Error(`${status} ${body}`)
    if (String(headers['content-type']).startsWith('text/html')) throw new Error(`${status} in HTML: ${body}`)
  })
  console.log(`requests with ${stores}: ${JSON.stringify(summary)}`)
  expect((await fuzzed.service.notify({ events: [notified()] })).status).toBe(200)
})
