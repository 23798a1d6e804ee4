import { afterEach, expect, test } from '@jest/globals'
import { envelopeBody } from '../servers/fuzz-envelopes.js'
import { startFuzzed, type FuzzedService } from '../servers/fuzzed-service.js'
import { NOTIFICATION_TOKEN } from '../servers/service.js'

let fuzzed: FuzzedService
afterEach(async () => fuzzed.close())

/** Items that cannot be read beyond them are one. */
const MOST_UNREADABLE = 10_000

type Report = { recorded: number; repeated: number; skipped: Record<string, number> }

const requests = envelopeBody.map((body) => ({
  method: 'POST',
  target: '/container_registry_event/events',
  headers: { authorization: NOTIFICATION_TOKEN, 'content-type': 'application/json' },
  body,
}))

test.each([
  ['the embedded stores', 'embedded', 1_000],
  ['Redis and PostgreSQL', 'servers', 100],
] as const)(
  'each item of an envelope has exactly one outcome, and none is an error of the service, with %s',
  async (_, stores, usual) => {
    fuzzed = await startFuzzed(stores, {})
    const summary = await fuzzed.fuzz(requests, usual, ({ body = '' }, answer) => {
      if (![200, 400, 413].includes(answer.status)) throw new Error(`${answer.status} ${answer.body}`)
      if (answer.status !== 200) return
      const { recorded, repeated, skipped } = JSON.parse(answer.body) as Report
      const { events } = JSON.parse(body.toString()) as { events: unknown[] }
      expect(recorded + repeated + Object.values(skipped).reduce((sum, count) => sum + count, 0)).toBe(
        Math.min(events.length, MOST_UNREADABLE + 1),
      )
    })
    console.log(`envelopes with ${stores}: ${JSON.stringify(summary)}`)
  },
)
