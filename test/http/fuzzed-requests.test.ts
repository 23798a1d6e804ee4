import { afterAll, beforeAll, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { PARAMETERS } from '../../src/pulls/read/asked.js'
import { DIMENSION_NAMES } from '../../src/pulls/read/dimensions.js'
import { MEASURE_NAMES } from '../../src/pulls/read/measures.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { createSender, escaped, hostileText, type RawRequest } from '../servers/fuzz.js'
import { runs } from '../servers/runs.js'
import { API_TOKEN } from '../servers/service.js'

let app: TestApp
let sender: ReturnType<typeof createSender>
beforeAll(async () => {
  app = await openApp({
    TALLYMAN_REGISTRIES: '{"registry.example": {"url": "http://127.0.0.1:1"}}',
    TALLYMAN_PUBLIC_BADGES: '*',
  })
  sender = createSender(app.url)
  await app.notify({ events: [notified(), notified({ action: 'pull' })] })
})
afterAll(async () => {
  sender.close()
  await app.close()
})

const NAMES = [
  ...new Set([
    ...Object.keys(PARAMETERS),
    ...DIMENSION_NAMES,
    ...QUESTIONS.flatMap(({ parameters }) => Object.keys(parameters)),
    ...['format', 'cursor', 'after', 'since', 'until', 'limit', 'top', 'days', 'measure', 'period', 'include_paths'],
    ...['event_names', 'event_names[]', 'start_date', 'end_date', 'aggregation', 'event', 'events', 'username'],
    ...['user_id', 'namespace_id', 'project_id', 'project_path', 'additional_properties', 'send_to_snowplow'],
    ...['from', 'into', 'dry_run', 'origin', 'statement', 'apply', 'force', 'restart', 'reread', 'rate', 'blobs'],
    ...['__proto__', 'constructor', 'a[b][c]', 'limit[]', 'a[0', ''],
  ]),
]
const PULLS = [...Object.keys(PARAMETERS), ...DIMENSION_NAMES, 'format', 'top']
/** The parameters that a route reads, as far as they are known: others are answered before most of the work. */
const namesOf = (path: string): string[] => {
  if (/^\/pulls(\/pullers)?$/.test(path)) return PULLS
  const question = QUESTIONS.find(({ name }) => path === `/inventory/${name}` || path === `/pulls/${name}`)
  return question ? [...Object.keys(question.parameters), 'limit', 'cursor', 'after', 'format'] : NAMES
}
const someOf = (names: string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 7, arbitrary: fc.constantFrom(...names) }, { weight: 1, arbitrary: fc.constantFrom(...NAMES) })

/** What requests must have to get beyond the first check, for each route that asks for something. */
const REQUIRED: [path: RegExp, parameters: Record<string, string>][] = [
  [
    /unique_events/,
    { event_names: 'i_container_registry_push_tag_user', start_date: '2026-01-01', end_date: '2026-11-01' },
  ],
  [/tags|manifests|tree|images|blobs|uses/, { repository: 'team/app', reference: '1.0' }],
  [/unused/, { unused_for: '90d' }],
  [/counter|unique_users|track_event/, { event: 'i_container_registry_push_tag_user' }],
  [/forget/, { origin: 'o' }],
  [/join/, { from: 'a.example', into: 'b.example', dry_run: 'true' }],
  [/sql/, { statement: 'select 1' }],
]
const WELL_FORMED = fc.constantFrom(
  ...MEASURE_NAMES,
  ...DIMENSION_NAMES,
  'pulls,checks',
  '2026-11',
  '7',
  'Europe/Berlin',
)
const value = fc.oneof({ weight: 4, arbitrary: hostileText }, { weight: 1, arbitrary: WELL_FORMED })
const json = fc.oneof<fc.Arbitrary<unknown>[]>(
  value,
  fc.jsonValue({ maxDepth: 4 }),
  fc.double(),
  fc.bigInt().map(Number),
)
const TYPES = [
  'application/json',
  'application/json; charset=utf-16',
  'application/json; charset=klingon',
  'application/x-www-form-urlencoded',
  'text/plain',
  'multipart/form-data; boundary=x',
  'nonsense',
]

const requestTo = ({ method, path }: { method: string; path: string }): fc.Arbitrary<RawRequest> =>
  fc
    .record({
      method: fc.oneof(
        { weight: 9, arbitrary: fc.constant(method) },
        { weight: 1, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE') },
      ),
      place: fc.array(hostileText, { minLength: 1, maxLength: 3 }),
      query: fc.array(fc.tuple(someOf(namesOf(path)), value), { maxLength: 4 }),
      tail: fc.oneof(
        { weight: 20, arbitrary: fc.constant('') },
        { weight: 1, arbitrary: fc.constantFrom('%', '%zz', '%c3%28', '&&=', '?', '#', '/', '//') },
      ),
      isComplete: fc.boolean(),
      body: fc.oneof(
        fc.dictionary(someOf(namesOf(path)), json, { maxKeys: 4 }).map((fields): unknown => fields),
        json,
        fc.string({ unit: 'binary', maxLength: 60 }),
        fc.constant('[['.repeat(5_000)),
      ),
      isText: fc.boolean(),
      type: fc.oneof(
        { weight: 6, arbitrary: fc.constant('application/json') },
        { weight: 2, arbitrary: fc.constantFrom(...TYPES) },
      ),
      encoding: fc.oneof(
        { weight: 20, arbitrary: fc.constant('') },
        { weight: 1, arbitrary: fc.constantFrom('gzip', 'br', 'deflate', 'x') },
      ),
      token: fc.oneof(
        { weight: 30, arbitrary: fc.constant(API_TOKEN) },
        { weight: 1, arbitrary: fc.constantFrom('', 'wrong', '\xe9', 'x'.repeat(9_000)) },
      ),
    })
    .map(({ method: verb, place, query, tail, isComplete, body, isText, type, encoding, token }) => {
      const required = isComplete ? (REQUIRED.find(([pattern]) => pattern.test(path))?.[1] ?? {}) : {}
      const given = new Map([...Object.entries(required), ...query])
      const target = path.replace(/[*:]\w+/g, () => place.map(escaped).join('/') + (isComplete ? '.svg' : ''))
      const text = [...given].map(([name, one]) => `${escaped(name)}=${escaped(one)}`).join('&')
      const isFields = typeof body === 'object' && body !== null && !Array.isArray(body)
      const sent = isFields && isComplete ? { ...required, ...body } : body
      const hasBody = !['GET', 'HEAD', 'OPTIONS', 'TRACE'].includes(verb)
      return {
        method: verb,
        target: `${target}${text === '' ? '' : `?${text}`}${tail}`,
        headers: {
          authorization: `Bearer ${token}`,
          ...(hasBody && { 'content-type': type, ...(encoding !== '' && { 'content-encoding': encoding }) }),
        },
        ...(hasBody && { body: isText && typeof sent === 'string' ? sent : JSON.stringify(sent) }),
      }
    })

/** Faults of the service. 502 is a registry's, 504 a query that takes too long. */
const FAULTS = new Set([500, 501, 503])

test('no request is a fault of the service', async () => {
  const anyRequest = fc.oneof(...app.app.routes.map(requestTo))
  await fc.assert(
    fc.asyncProperty(anyRequest, async (raw) => {
      const { status, body } = await sender.send(raw)
      if (FAULTS.has(status)) throw new Error(`${status} ${body}: ${app.log().at(-1) ?? ''}`)
      app.log().length = 0
    }),
    runs(2_000),
  )
  expect((await app.get('/healthz')).status).toBe(200)
  expect((await app.notify({ events: [notified()] })).status).toBe(200)
})
