import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { PARAMETERS } from '../../src/pulls/query/parameters.js'
import { DIMENSION_NAMES } from '../../src/pulls/model/dimensions.js'
import { MEASURE_NAMES } from '../../src/pulls/model/measures.js'
import { escaped, hostileText, type RawRequest } from './fuzz.js'
import { API_TOKEN, NOTIFICATION_TOKEN } from './service.js'

/** A token of each scope, as `TALLYMAN_API_TOKENS` has them. */
export const FUZZED_TOKENS = { admin: API_TOKEN, read: 'token-to-read', metrics: 'token-to-scrape' }

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

/** Statements that operators write, and pieces that break them. None of them runs for long. */
const STATEMENTS = [
  'select * from inventory.tags',
  'select 1; select 2',
  'select $1',
  'select pg_sleep(0)',
  "select '\\'",
  'select 1 /* ',
  'delete from event_ids',
  'explain analyze select 1',
  'commit',
  'select * from pulls.salts',
  'copy (select 1) to stdout',
  'listen a',
  'values (1, null, 1e400)',
  "select 'infinity'::timestamptz, 'nan'::float8, interval '1 year', array[1, null], '{}'::jsonb",
  'with a as (delete from leases returning *) select * from a',
]

/** How a body is encoded, or claims to be. */
const ENCODINGS: Record<string, (body: Buffer) => Buffer> = {
  gzip: gzipSync,
  br: brotliCompressSync,
  deflate: deflateSync,
  'gzip, gzip': gzipSync,
}

/** Headers that requests have beside those that a route reads. A second value shows that it is repeated in one text. */
const HEADERS = {
  accept: ['text/csv', 'image/svg+xml', '*/*;q=x', 'application/openmetrics-text', ''],
  'accept-encoding': ['gzip', 'br;q=0', '*', 'identity;q=0'],
  range: ['bytes=0-0', 'bytes=-99999999999', 'lines=1'],
  'if-none-match': ['*', '"x"', 'W/"'],
  'if-modified-since': ['Thu, 01 Jan 1970 00:00:00 GMT', 'x'],
  'x-forwarded-for': ['203.0.113.1', '::1, x', '\xff'],
  'x-http-method-override': ['DELETE', 'TRACE'],
  'user-agent': ['', '\xff\xfe', 'x'.repeat(4_000)],
  cookie: ['a=b; __proto__=c'],
  host: ['', 'a b', '[::1', 'registry.example:99999'],
  'transfer-encoding': ['chunked'],
  connection: ['close', 'upgrade', 'keep-alive, close'],
  upgrade: ['h2c', 'websocket'],
  expect: ['100-continue'],
}
const header = fc
  .constantFrom(...Object.entries(HEADERS))
  .chain(([name, values]) => fc.constantFrom(...values).map((one): [string, string] => [name, one]))

/** A large body, as text: below or above what any route takes. */
const HUGE = [
  '['.repeat(5_000),
  '{"a":'.repeat(5_000),
  `a${'[a]'.repeat(2_000)}=1`,
  Array.from({ length: 1_100 }, (_, i) => `a${i}=1`).join('&'),
  JSON.stringify({ statement: `select '${'x'.repeat(200_000)}'` }),
  JSON.stringify({ x: ' '.repeat(1_100_000) }),
  '0'.repeat(1_100_000),
]

const asForm = (fields: object): string =>
  Object.entries(fields)
    .map(([name, one]) => `${escaped(name)}=${escaped(typeof one === 'string' ? one : JSON.stringify(one))}`)
    .join('&')

/** Routes that the router of the API does not have: the webhook, near misses of it, and paths that do not exist. */
export const OTHER_ROUTES = [
  ...[
    '/container_registry_event/events',
    '/api/v4/container_registry_event/events',
    '/Container_Registry_Event/events/',
  ],
  ...['/', '//', '/*path', '/inventory/*path', '/usage_data/:name', '/pulls/:name', '/badge/:name'],
].map((path) => ({ method: path.includes('event') ? 'POST' : 'GET', path }))

/** A request to a route as `App.routes` has it: with any method, parameters, headers, body and token. */
const requestTo = ({ method, path }: { method: string; path: string }): fc.Arbitrary<RawRequest> =>
  fc
    .record({
      verb: fc.oneof(
        { weight: 9, arbitrary: fc.constant(method) },
        { weight: 1, arbitrary: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE') },
      ),
      place: fc.array(hostileText, { minLength: 1, maxLength: 3 }),
      query: fc.array(fc.tuple(someOf(namesOf(path)), value), { maxLength: 4 }),
      tail: fc.oneof(
        { weight: 20, arbitrary: fc.constant('') },
        {
          weight: 1,
          arbitrary: fc.constantFrom('%', '%zz', '%c3%28', '&&=', '?', '#', '/', '//', '&a=1'.repeat(1_500)),
        },
      ),
      isComplete: fc.boolean(),
      body: fc.oneof<fc.Arbitrary<unknown>[]>(
        { weight: 9, arbitrary: fc.dictionary(someOf(namesOf(path)), json, { maxKeys: 4 }) } as never,
        { weight: 2, arbitrary: json } as never,
        { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 60 }) } as never,
        { weight: 2, arbitrary: fc.constantFrom(...STATEMENTS).map((statement) => ({ statement })) } as never,
        { weight: 1, arbitrary: fc.uint8Array({ maxLength: 60 }).map((bytes) => Buffer.from(bytes)) } as never,
      ),
      huge: fc.oneof({ weight: 100, arbitrary: fc.constant('') }, { weight: 1, arbitrary: fc.constantFrom(...HUGE) }),
      isText: fc.boolean(),
      type: fc.oneof(
        { weight: 6, arbitrary: fc.constant('application/json') },
        { weight: 2, arbitrary: fc.constant('application/x-www-form-urlencoded') },
        { weight: 2, arbitrary: fc.constantFrom(...TYPES) },
      ),
      encoding: fc.oneof(
        { weight: 20, arbitrary: fc.constant('') },
        { weight: 2, arbitrary: fc.constantFrom(...Object.keys(ENCODINGS), 'x') },
      ),
      isEncoded: fc.oneof({ weight: 3, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) }),
      extra: fc.oneof(
        { weight: 3, arbitrary: fc.constant([]) },
        { weight: 1, arbitrary: fc.array(header, { maxLength: 3 }) },
      ),
      token: fc.oneof(
        { weight: 30, arbitrary: fc.constant(`Bearer ${path.includes('event/') ? NOTIFICATION_TOKEN : API_TOKEN}`) },
        { weight: 4, arbitrary: fc.constantFrom(...Object.values(FUZZED_TOKENS).map((one) => `Bearer ${one}`)) },
        {
          weight: 1,
          arbitrary: fc.constantFrom(
            ...['', 'Bearer', 'Bearer ', 'Bearer wrong', 'Bearer \xe9', `Bearer ${'x'.repeat(9_000)}`],
            ...[NOTIFICATION_TOKEN, `Bearer ${NOTIFICATION_TOKEN}`, `Basic ${API_TOKEN}`, `bearer  ${API_TOKEN}`],
          ),
        },
      ),
    })
    .map(({ verb, place, query, tail, isComplete, body, huge, isText, type, encoding, isEncoded, extra, token }) => {
      const required = isComplete ? (REQUIRED.find(([pattern]) => pattern.test(path))?.[1] ?? {}) : {}
      const given = new Map([...Object.entries(required), ...query])
      const target = path.replace(/[*:]\w+/g, () => place.map(escaped).join('/') + (isComplete ? '.svg' : ''))
      const text = [...given].map(([name, one]) => `${escaped(name)}=${escaped(one)}`).join('&')
      const headers = { authorization: token, ...Object.fromEntries(extra) }
      const request = { method: verb, target: `${target}${text === '' ? '' : `?${text}`}${tail}` }
      if (['GET', 'HEAD', 'OPTIONS', 'TRACE'].includes(verb)) return { ...request, headers: withoutBody(headers) }
      const isFields = typeof body === 'object' && body !== null && !Array.isArray(body) && !Buffer.isBuffer(body)
      const sent = isFields ? { ...required, ...body } : body
      const plain =
        huge !== ''
          ? huge
          : Buffer.isBuffer(sent) || (isText && typeof sent === 'string')
            ? sent
            : isFields && type.includes('urlencoded')
              ? asForm(sent as object)
              : JSON.stringify(sent)
      const encode = ENCODINGS[encoding]
      return {
        ...request,
        headers: { 'content-type': type, ...(encoding !== '' && { 'content-encoding': encoding }), ...headers },
        body: encode && isEncoded ? encode(Buffer.from(plain)) : plain,
      }
    })

/** A request without a body that claims one in chunks would wait for the body. */
const withoutBody = (headers: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'transfer-encoding' && name !== 'expect'))

/** What stands before the path of a target: the whole URL, as proxies send it, and what only looks like an authority. */
const AUTHORITIES = [
  ...['http://tallyman', 'HTTPS://a@b:443', 'http://a:99999999', 'http://[::1', 'http://a%', 'http://'],
  ...['//a:99999999', '//a@[b', '//a@b:99999999', 'x://y', 'javascript://', '*', 'http://[::1]:', 'http://\xff'],
]
const authority = fc.oneof(
  { weight: 15, arbitrary: fc.constant('') },
  { weight: 1, arbitrary: fc.constantFrom(...AUTHORITIES) },
)
const withAuthority = (requests: fc.Arbitrary<RawRequest>): fc.Arbitrary<RawRequest> =>
  fc.tuple(requests, authority).map(([request, before]) => ({ ...request, target: before + request.target }))

/** Routes that do much work for each request: they take fewer of the requests, so that a long run comes to an end. */
const LABORIOUS =
  /service_ping|non_sql_metrics|forget|summary|unused-images|last-used|images|status|^\/pulls|^\/metrics/

/** A request to any of the routes. */
export const requestToAny = (routes: readonly { method: string; path: string }[]): fc.Arbitrary<RawRequest> =>
  fc.oneof(
    ...routes.flatMap((route) =>
      Array.from({ length: LABORIOUS.test(route.path) ? 1 : 5 }, () => withAuthority(requestTo(route))),
    ),
  )
