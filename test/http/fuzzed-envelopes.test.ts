import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { SIDE_FIELDS } from '../../src/events/side-fields.js'
import { openApp, type TestApp } from '../servers/app.js'
import { createSender, hostileText } from '../servers/fuzz.js'
import { runs } from '../servers/runs.js'
import { NOTIFICATION_TOKEN } from '../servers/service.js'
import { setField, whole } from '../servers/side-fields.js'

let app: TestApp
let sender: ReturnType<typeof createSender>
beforeAll(async () => {
  app = await openApp()
  sender = createSender(app.url)
})
afterAll(async () => {
  sender.close()
  await app.close()
})

const FIELDS = [
  ...SIDE_FIELDS,
  'timestamp',
  'action',
  'target.repository',
  'target.tag',
  'target.digest',
  'target',
] as const
const anyValue = fc.oneof<fc.Arbitrary<unknown>[]>(
  hostileText,
  fc.jsonValue({ maxDepth: 3 }),
  fc.constantFrom<unknown>(undefined, null, 0, -0, 1e308, 2 ** 53, {}, [], [null], { __proto__: null, toString: 1 }),
  fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
)
const mutated = fc
  .tuple(
    fc.constantFrom('push', 'pull', 'mount', 'delete', 'rename', 'fly'),
    fc.option(fc.uuid(), { nil: undefined }),
    fc.array(fc.tuple(fc.constantFrom(...FIELDS), anyValue), { maxLength: 4 }),
  )
  .map(([action, id, changes]) =>
    changes.reduce((event, [field, value]) => setField(event, field as (typeof SIDE_FIELDS)[number], value), {
      ...whole(action),
      ...(id !== undefined && { id }),
    }),
  )
const item = fc.oneof<fc.Arbitrary<unknown>[]>({ weight: 8, arbitrary: mutated } as never, anyValue)
const envelope = fc.array(item, { maxLength: 3 }).map((events) => JSON.stringify({ events }))
/** An envelope with some of its bytes changed or cut off. */
const spoilt = fc
  .tuple(envelope, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }), fc.nat())
  .map(([text, changes, end]) => {
    const bytes = Buffer.from(text)
    for (const [at, byte] of changes) bytes[at % bytes.length] = byte
    return changes.length > 0 ? bytes : bytes.subarray(0, end % bytes.length)
  })
const body = fc.oneof<fc.Arbitrary<string | Buffer>[]>(
  { weight: 8, arbitrary: envelope } as never,
  { weight: 2, arbitrary: spoilt } as never,
  fc.constantFrom(
    '',
    '[]',
    'null',
    '{"events":{}}',
    '['.repeat(10_000),
    `{"events":[${'['.repeat(5_000)}${']'.repeat(5_000)}]}`,
  ),
)

type Report = { recorded: number; repeated: number; skipped: Record<string, number> }

test('each item of an envelope is counted in exactly one place, and none is a fault of the service', async () => {
  const headers = { authorization: NOTIFICATION_TOKEN, 'content-type': 'application/json' }
  await fc.assert(
    fc.asyncProperty(body, async (sent) => {
      const answer = await sender.send({
        method: 'POST',
        target: '/container_registry_event/events',
        headers,
        body: sent,
      })
      if (![200, 400, 413].includes(answer.status))
        throw new Error(`${answer.status} ${answer.body}: ${app.log().at(-1) ?? ''}`)
      app.log().length = 0
      if (answer.status !== 200) return
      const { recorded, repeated, skipped } = JSON.parse(answer.body) as Report
      const { events } = JSON.parse(sent.toString()) as { events: unknown[] }
      expect(recorded + repeated + Object.values(skipped).reduce((sum, count) => sum + count, 0)).toBe(events.length)
    }),
    runs(1_000),
  )
  expect((await app.get('/healthz')).status).toBe(200)
})
