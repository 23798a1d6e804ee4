import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from '@jest/globals'
import { requestOf } from '../../src/events/registry-request.js'
import { createPendingOf } from '../../src/pulls/requests/pending-of.js'
import { notified } from '../servers/app.js'
import { CLIENT_OF, ORIGIN_OF } from '../servers/counting.js'
import { DIGEST, readByHost } from '../servers/events.js'
import { OCI_IMAGE } from '../servers/manifests.js'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const heapMegabytes = (): number => {
  collectGarbage()
  return process.memoryUsage().heapUsed / 1e6
}
const NOW = Date.parse('2026-11-21T12:00:00Z') * 1_000
const target = { repository: 'team/app', tag: '1.0', digest: DIGEST, mediaType: OCI_IMAGE }

test.each([
  ['User-Agents of 200 kB', 400, 20, (i: number) => ({ request: { useragent: `client-${i} ${'x'.repeat(200_000)}` } })],
  ['names of 2 kB', 25_000, 30, (i: number) => ({ actor: { name: `user ${i} ${'x'.repeat(2_000)}` } })],
])('%s do not fill the memory of the service', (_, count, mostMegabytes, differing) => {
  const pendingOf = createPendingOf({ originOf: ORIGIN_OF, clientOf: CLIENT_OF, placeOf: () => ({}) })
  const before = heapMegabytes()
  for (let i = 0; i < count; i++) {
    const pull = { ...notified({ action: 'pull', target }), timestamp: '2026-11-21T11:00:00Z', ...differing(i) }
    for (const event of readByHost(JSON.stringify({ events: [pull] }), NOW)) {
      const request = 'action' in event ? requestOf(event) : undefined
      if (!request) throw new Error('the event is no pull')
      pendingOf(request)
    }
  }
  expect(heapMegabytes() - before).toBeLessThan(mostMegabytes)
  // What is remembered is in use until here.
  expect(pendingOf).toBeDefined()
})
