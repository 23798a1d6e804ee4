import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { PARAMETERS } from '../../src/pulls/query/parameters.js'
import { REQUEST_PARAMETERS } from '../../src/pulls/query/requests-parameters.js'
import { DIMENSION_NAMES } from '../../src/pulls/model/dimensions.js'
import { cursorOf } from '../../src/inventory/questions/cursor.js'
import { openApp, type TestApp } from '../servers/app.js'

let app: TestApp
beforeAll(async () => {
  app = await openApp({
    TALLYMAN_REGISTRIES: '{"registry.example": {"url": "http://127.0.0.1:1"}}',
    TALLYMAN_SQL_ROUTE: 'true',
  })
})
afterAll(async () => app.close())

/** Texts that PostgreSQL cannot store, that are no Unicode, that are longer than any name, or that are out of range. */
const HOSTILE = {
  'a NUL': 'a\0b',
  'a lone surrogate': 'a\ud800b',
  'a long name': 'x'.repeat(3_000),
  'a large number': '9'.repeat(400),
  'a far age': '999999999y',
  'a far day': '9999-12-31',
  'a time in the year 10000': '9999-12-31T23:59:59-23:59',
  'a far offset': '2026-11-21T10:00:00+20:00',
  'a long fraction': `2026-11-21T10:00:00.${'1'.repeat(1_000)}Z`,
  'a zone of JavaScript': 'US/Pacific-New',
}
const TEXTS = Object.entries(HOSTILE)

const PULLS = [...Object.keys(PARAMETERS), ...DIMENSION_NAMES, 'format']
const GET: [path: string, parameters: string[]][] = [
  ['/pulls', PULLS],
  ['/pulls/pullers', [...PULLS, 'top']],
  ['/pulls/behaviour', ['repository', 'days', 'limit']],
  ['/pulls/last-used', ['unused_for', 'without_kind', 'repository', 'registry', 'format', 'limit', 'after']],
  ['/requests', [...REQUEST_PARAMETERS, 'format']],
  ['/usage_data/unique_events', ['event_names', 'event_names[]', 'start_date', 'end_date', 'aggregation']],
  ['/usage_data/metric_definitions', ['include_paths']],
  ['/badge/team/app.svg', ['measure', 'period']],
  ...QUESTIONS.map(({ name, parameters }): [string, string[]] => [
    `/inventory/${name}`,
    [...Object.keys(parameters), 'limit', 'cursor', 'format'],
  ]),
]
/** Paths that take JSON, with a body that is answered and the parameters that are texts. */
const POST: [path: string, body: Record<string, string>, parameters: string[]][] = [
  ['/registries/join', { from: 'a.example', into: 'b.example' }, ['from', 'into', 'dry_run']],
  ['/pulls/forget', { origin: 'o' }, ['origin', 'repository', 'registry']],
  ['/inventory/sql', { statement: 'select 1' }, ['statement', 'limit']],
  [
    '/usage_data/track_event',
    { event: 'i_container_registry_push_tag_user' },
    ['event', 'user_id', 'username', 'namespace_id', 'project_id', 'project_path', 'send_to_snowplow'],
  ],
  ['/usage_data/increment_counter', { event: 'i_container_registry_push' }, ['event', 'user_id', 'username']],
  [
    '/usage_data/increment_unique_users',
    { event: 'i_container_registry_push_tag_user' },
    ['event', 'user_id', 'username'],
  ],
]
/** Paths whose parameters are in the query of a POST. */
const POST_QUERY: [path: string, parameters: string[]][] = [
  ['/inventory/reconcile', ['registry', 'apply', 'force', 'restart', 'reread', 'rate', 'blobs']],
]

const queryOf = (parameters: Record<string, string>): string => `?${new URLSearchParams(parameters).toString()}`
/** Parameters without which some questions are refused before the others are read. */
const REQUIRED: Record<string, string> = { repository: 'team/app', reference: 'latest', unused_for: '90d' }
const requiredOf = (parameters: readonly string[]): Record<string, string> =>
  Object.fromEntries(Object.entries(REQUIRED).filter(([name]) => parameters.includes(name)))
/** The status of each response by its parameter; those of the service's own faults are in a failure's message. */
const faults = (statuses: readonly [string, number][]): [string, number][] =>
  statuses.filter(([, status]) => status >= 500)

describe.each(TEXTS)('%s in a parameter is no fault of the service', (_, text) => {
  test.each(GET)('GET %s', async (path, parameters) => {
    const statuses: [string, number][] = []
    for (const name of parameters) {
      const { status } = await app.get(path + queryOf({ ...requiredOf(parameters), [name]: text }))
      statuses.push([name, status])
    }
    expect(faults(statuses)).toEqual([])
  })

  test.each(POST)('POST %s', async (path, body, parameters) => {
    const statuses: [string, number][] = []
    for (const name of parameters) {
      const { status } = await app.post(path, { ...body, [name]: text })
      statuses.push([name, status])
    }
    expect(faults(statuses)).toEqual([])
  })

  test.each(POST_QUERY)('POST %s?…', async (path, parameters) => {
    const statuses: [string, number][] = []
    for (const name of parameters) {
      const { status } = await app.post(path + queryOf({ [name]: text }))
      statuses.push([name, status])
    }
    expect(faults(statuses)).toEqual([])
  })
})

describe('a text that no name can be', () => {
  test.each([
    ['/registries/join', { from: 'a.example', into: 'b.example' }, ['from', 'into']],
    ['/pulls/forget', {}, ['origin', 'repository', 'registry']],
    ['/usage_data/track_event', { event: 'i_container_registry_push_tag_user' }, ['user_id', 'username']],
    ['/usage_data/increment_unique_users', { event: 'i_container_registry_push_tag_user' }, ['user_id', 'username']],
  ])('is refused by POST %s', async (path, body, names) => {
    for (const name of names)
      for (const text of ['a\0b', 'a\ud800b'])
        expect([name, (await app.post(path, { ...body, [name]: text })).status]).toEqual([name, 400])
  })

  test('is refused with the name of the parameter', async () => {
    const response = await app.post('/registries/join', { from: 'a\0b', into: 'b.example' })
    expect(response.status).toBe(400)
    expect(await response.json()).toEqual({ message: '400 Bad Request: from: contains characters that no name has' })
  })
})

describe('a cursor with what its question never gives out', () => {
  test.each(QUESTIONS.map(({ name, key }) => [name, key] as const))(
    'is refused or answered by %s',
    async (name, key) => {
      const question = QUESTIONS.find((one) => one.name === name)
      const VALUES: Record<string, (string | number)[]> = {
        id: [2 ** 31 - 1, -1],
        number: [Number.MAX_SAFE_INTEGER, -1],
        text: ['', 'x'.repeat(1_000), '9999-12-31'],
        time: [
          '9999-12-31T23:59:59Z',
          '1970-01-01T00:00:00Z',
          '2026-11-21T10:00:60Z',
          '2026-11-21T10:00:00+20:00',
          `2026-11-21T10:00:00.${'1'.repeat(1_000)}Z`,
          '0100-01-01T00:00:00Z',
        ],
        day: ['9999-12-31', '1970-01-01'],
        uuid: ['00000000-0000-0000-0000-000000000000'],
      }
      for (const pick of [0, 1, 2, 3, 4, 5]) {
        const cursor = cursorOf(key.map((kind) => VALUES[kind]?.[pick] ?? VALUES[kind]?.[0] ?? 0))
        const own = requiredOf(Object.keys(question?.parameters ?? {}))
        const { status } = await app.get(`/inventory/${name}${queryOf({ ...own, cursor })}`)
        expect([cursor, status]).toEqual([cursor, expect.any(Number)])
        expect(status).toBeLessThan(500)
      }
    },
  )
})
