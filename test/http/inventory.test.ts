import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { problemOf } from '../../src/http/problem.js'
import { QuestionTooLong } from '../../src/inventory/questions/ask.js'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { machineClock } from '../servers/clock.js'
import { digestOf } from '../servers/history.js'

let app: TestApp
beforeAll(async () => {
  app = await openApp({ TALLYMAN_SQL_ROUTE: 'true' })
  const target = {
    repository: 'team/app',
    tag: '1.0',
    digest: digestOf('a'),
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    size: 20,
    references: [{ digest: digestOf('b'), mediaType: 'application/octet-stream', size: 10 }],
  }
  await app.notify({ events: [notified({ target }), notified({ target: { ...target, tag: '2.0' } })] })
})
afterAll(async () => app.close())

const get = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await app.get(path)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('GET /inventory/…', () => {
  test.each(QUESTIONS.map(({ name }) => name))('%s asks for an API token', async (name) => {
    for (const headers of [{}, { authorization: 'Bearer notification-token' }]) {
      expect((await app.get(`/inventory/${name}`, headers)).status).toBe(401)
    }
  })

  test('answers a page, what its words mean, and where the next begins', async () => {
    const { body } = await get('/inventory/images?limit=1')
    expect(body).toEqual({
      items: [expect.objectContaining({ repository: 'team/app', tag: '1.0', size: 30 })],
      next: expect.stringMatching(/^[\w-]+$/),
      definition: expect.stringMatching(/^An image is/),
    })
    const last = await get(`/inventory/images?limit=1&cursor=${String(body.next)}`)
    expect(last.body).toMatchObject({ items: [{ tag: '2.0' }], next: null })
  })

  test('answers the rows alone in CSV and NDJSON, and leads to the next page', async () => {
    const csv = await app.get('/inventory/images?limit=1&format=csv')
    expect(csv.headers.get('content-type')).toMatch(/^text\/csv/)
    expect(await csv.text()).toMatch(
      /^registry,repository,tag,digest,[^\n]*\r\nregistry\.example,team\/app,1\.0,[^\n]*\r\n$/,
    )
    const [, next = ''] = /^<(.+)>; rel="next"$/.exec(csv.headers.get('link') ?? '') ?? []
    const last = await app.get(next)
    expect(await last.text()).toMatch(/,2\.0,/)
    expect(last.headers.get('link')).toBeNull()
    const lines = await (await app.get('/inventory/images?format=ndjson')).text()
    expect(
      lines
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toMatchObject([{ tag: '1.0' }, { tag: '2.0' }])
  })

  test.each([
    ['images?format=xml', /^400 Bad Request: format: expected json, csv, ndjson$/],
    ['images?format=toString', /^400 Bad Request: format: expected json/],
    ['images?limit=many', /^400 Bad Request: limit: is a number from 1 to 1000$/],
    ['images?cursor=x', /^400 Bad Request: cursor: .* send "next" of the previous page unchanged/],
    ['images?repository=a&repository=b', /^400 Bad Request: repository: is given once/],
    ['images?repository[x]=a', /^400 Bad Request: repository\[x\]: is not a parameter of images/],
    ['old-images', /^400 Bad Request: older_than: is missing/],
    ['unused-images?unused_for=2999-01-01', /^400 Bad Request: unused_for: is in the future/],
  ])('%s is 400', async (path, message) => {
    const { status, body } = await get(`/inventory/${path}`)
    expect([status, body.message]).toEqual([400, expect.stringMatching(message)])
  })
})

test('the summary can be made now, and the ping reads it', async () => {
  expect((await app.post('/inventory/summary')).status).toBe(200)
  expect((await get('/inventory/totals')).body).toMatchObject({
    items: [{ repositories: 1, tags: 2, manifests: 1, blobs: 1, bytes: 10 }],
    as_of: expect.stringMatching(/^\d{4}-/),
  })
  expect((await get('/usage_data/service_ping')).body).toMatchObject({
    counts: {
      inventory_repositories: 1,
      inventory_tags: 2,
      inventory_manifests: 1,
      inventory_blobs: 1,
      inventory_bytes: 10,
    },
    counts_monthly: { inventory_deletions: 0 },
  })
})

test('before the first summary the sums of the ping are not known, and not none', async () => {
  /** A summary may be made at the beginning of each quarter of a minute. */
  const quarter = (): number => Math.floor(machineClock().getTime() / 15_000)
  for (let isTold = false; !isTold;) {
    const begun = quarter()
    const fresh = await openApp()
    const body = (await (await fresh.get('/usage_data/service_ping')).json()) as { counts: Record<string, number> }
    const orphans = await fresh.get('/inventory/orphaned-blobs?format=csv')
    isTold = quarter() === begun
    await fresh.close()
    if (!isTold) continue
    expect(orphans.headers.get('tallyman-as-of')).toBe('never')
    expect(body.counts).toMatchObject({ inventory_tags: -1, inventory_bytes: -1 })
  }
})

test('what is not known is counted beside the answer, in the status, the metrics and the ping, with what makes it known', async () => {
  const target = {
    repository: 'team/unknown',
    tag: '1',
    digest: digestOf('f'),
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
  }
  await app.notify({ events: [notified({ target })] })
  await app.post('/inventory/summary')
  const note = expect.stringMatching(
    /^contents of 1 manifests are unknown: add "includereferences: true" .*, or add a "url"/,
  )
  expect((await get('/inventory/images')).body).toMatchObject({ unknown: { contents: 1 }, notes: [note] })
  expect((await get('/inventory/images?repository=team/app')).body).not.toHaveProperty('notes')
  for (const format of ['csv', 'ndjson']) {
    const { headers } = await app.get(`/inventory/images?format=${format}`)
    expect(headers.get('tallyman-unknown')).toBe('{"contents":1}')
    expect(JSON.parse(headers.get('tallyman-notes') ?? '')).toEqual([note])
    const known = await app.get(`/inventory/images?repository=team/app&format=${format}`)
    expect([known.headers.get('tallyman-unknown'), known.headers.get('tallyman-notes')]).toEqual([null, null])
  }
  expect((await get('/status')).body).toMatchObject({
    unknownContents: [{ registry: 'registry.example', manifests: 1, isRead: false, note }],
  })
  expect(await (await app.get('/metrics')).text()).toMatch(/^tallyman_inventory_unknown\{what="contents"\} 1$/m)
  expect((await get('/usage_data/service_ping')).body).toMatchObject({
    counts: { inventory_unknown_contents: 1, inventory_unknown_sizes: 0 },
  })
})

test.each(['images', 'tree?reference=latest', 'tags', 'last-used'])(
  '%s of a repository that the inventory does not have has a note, in every format',
  async (question) => {
    const path = `/inventory/${question}${question.includes('?') ? '&' : '?'}repository=team/ap`
    const note = 'The inventory has no repository "team/ap"; "tallyman inventory repositories" lists all repositories.'
    expect((await get(path)).body).toMatchObject({ items: [], notes: [note] })
    const { headers } = await app.get(`${path}&format=csv`)
    expect(JSON.parse(headers.get('tallyman-notes') ?? '[]')).toEqual([note])
  },
)

test('of a pull-through cache, the status and the notes name what the cache can do, also if it has a url', async () => {
  const registries = { 'registry.example': { url: 'http://127.0.0.1:1', cache: true } }
  const other = await openApp({ TALLYMAN_REGISTRIES: JSON.stringify(registries) })
  const mediaType = 'application/vnd.oci.image.manifest.v1+json'
  const target = { repository: 'team/unknown', tag: '1', digest: digestOf('f'), mediaType }
  await other.notify({ events: [notified({ target })] })
  await other.post('/inventory/summary')
  const note =
    'contents of 1 manifests are unknown: add "includereferences: true" below "notifications: events:" to the configuration of the pull-through cache; Tallyman does not read them from a cache'
  const body = async (path: string): Promise<unknown> => (await other.get(path)).json()
  expect(await body('/status')).toMatchObject({ unknownContents: [{ isRead: false, note }] })
  for (const path of ['/inventory/images', '/pulls/last-used'])
    expect(await body(path)).toMatchObject({ notes: [note] })
  await other.close()
})

test('manifests that could not be read are read again when somebody asks for it', async () => {
  const response = await app.post('/inventory/retry-reads')
  expect([response.status, await response.json()]).toEqual([200, { manifests: 0 }])
  expect((await get('/status')).body).toMatchObject({ unreadManifests: { waiting: 1, givenUp: 0 } })
})

test('a question that takes too long is 504, with what makes it smaller', () => {
  const problem = problemOf(new QuestionTooLong('deletions: took too long; reduce it with a smaller limit'))
  expect(problem).toEqual({
    status: 504,
    message: expect.stringMatching(/^504 Gateway Timeout: deletions: took too long/),
  })
})

describe('POST /inventory/sql', () => {
  const post = async (body: unknown): Promise<unknown> => {
    const response = await app.post('/inventory/sql', body)
    return { status: response.status, ...((await response.json()) as object) }
  }

  test('answers rows', async () => {
    expect(await post({ statement: 'select name from regstat.tags order by 1', limit: 1 })).toEqual({
      status: 200,
      columns: ['name'],
      rows: [['registry.example/team/app:1.0']],
      more: true,
    })
  })

  test.each([
    [{}, /statement: /],
    [{ statement: 'drop table tallies' }, /"drop" is refused: a statement can only read/],
    [{ statement: 'select 1', limit: 0 }, /limit: /],
    [{ statement: 'select 1', seconds: 241 }, /seconds: /],
    [{ statement: 'select * from nowhere' }, /relation "nowhere" does not exist/],
    [{ statement: 'select * from pulls.salts' }, /permission denied for table salts/],
    [
      { statement: 'select count(pg_advisory_lock(i)) from generate_series(1,60000) i' },
      /: pg_advisory_lock: no statement/,
    ],
    [{ statement: "select repeat('x', 1000000) from generate_series(1, 3000)", limit: 100_000 }, /more than 32 MiB/],
  ])('%j is 400', async (body, message) => {
    expect(await post(body)).toEqual({ status: 400, message: expect.stringMatching(message) })
  })

  test('ends a statement when its time is over; meanwhile the service takes notifications, and no second statement', async () => {
    const statement = 'select count(*) from generate_series(1, 1000000) a, generate_series(1, 1000000) b'
    const endless = post({ statement, seconds: 3 })
    expect((await app.notify({ events: [notified()] })).status).toBe(200)
    expect(await post({ statement: 'select 1' })).toEqual({
      status: 503,
      message: expect.stringMatching(/another statement is running/),
    })
    expect(await endless).toEqual({ status: 504, message: expect.stringMatching(/timed out: .* longer than 3 s/) })
    expect(await post({ statement: 'select 1 as one' })).toMatchObject({ status: 200, rows: [[1]] })
    expect(existsSync(join(app.folder, 'sql'))).toBe(false)
  })

  test('is off unless sql_route is true, and says what to do', async () => {
    const usual = await openApp()
    const response = await usual.post('/inventory/sql', { statement: 'select 1' })
    expect([response.status, await response.json()]).toEqual([
      403,
      { message: expect.stringMatching(/^403 Forbidden: SQL is off.* Stop the service.* or set sql_route: true/) },
    ])
    await usual.close()
  })
})
