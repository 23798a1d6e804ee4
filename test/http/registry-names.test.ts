import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { digestOf } from '../servers/history.js'

const NOW = new Date('2026-11-21T12:00:00Z')
/** The registry is first heard as registry:5000; all its other hosts are aliases. */
const NAME = 'registry:5000'
const OTHER_NAMES = ['registry.example.com', 'REGISTRY:5000', 'Registry.Example.Com']
/** Values of parameters that questions require. */
const REQUIRED: Record<string, string> = {
  repository: 'team/app',
  tag: '1.0',
  reference: '1.0',
  older_than: '1d',
  unused_for: '1d',
}

let app: TestApp
const outcome = async (id: string, registry: string, repository: string): Promise<void> => {
  await sql`
    insert into pulls.outcomes (id, what, at, registry, repository, tag, by_tag, origin, endpoint, source, gets, client, kind)
    values (${id}, 'invocation', '2026-11-20T12:00:00Z', ${registry}, ${repository}, '1.0', true, 'origin', 'endpoint',
      'notification', 1, 'docker', 'cli')
  `.execute(app.app.core.stores.database.sql)
}
beforeAll(async () => {
  app = await openApp({}, () => NOW)
  const reported = (host: string, tag: string): object =>
    notified({
      request: { host, method: 'PUT', useragent: 'docker/24' },
      source: { addr: 'registry-0:5000', instanceID: 'one' },
      timestamp: '2026-11-18T10:00:00Z',
      target: {
        repository: 'team/app',
        tag,
        digest: digestOf('a'),
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        size: 20,
      },
    })
  const events = [reported('registry:5000', '1.0'), reported('registry.example.com', '2.0')]
  await app.notify({ events })
  // Writes what was heard, which otherwise is written within 10 s, between two queries.
  await app.get('/status')
  await app.post('/inventory/summary')
  const db = app.app.core.stores.database.sql
  await outcome('1', NAME, 'team/app')
  await sql`insert into pulls.registries (registry, folded_to) values (${NAME}, ${NOW})`.execute(db)
})
afterAll(async () => app.close())

const get = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await app.get(path)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** Every question that can be asked of one registry. */
const PATHS = [
  ...QUESTIONS.filter(({ parameters }) => 'registry' in parameters).map(({ name, parameters }) => {
    const required = Object.keys(parameters).filter((key) => parameters[key]?.required === true)
    return `/inventory/${name}?${required.map((key) => `${key}=${REQUIRED[key] ?? ''}&`).join('')}`
  }),
  '/pulls?measures=pulls&group_by=registry,tag&',
  '/pulls/pullers?',
  '/pulls/last-used?',
]

describe('a registry that a query names', () => {
  test.each(PATHS)('%s takes the name or any host, in any case', async (path) => {
    const named = await get(`${path}registry=${NAME}`)
    expect(named.status).toBe(200)
    for (const other of OTHER_NAMES) expect(await get(`${path}registry=${other}`)).toEqual(named)
  })

  test.each(PATHS)('%s refuses a name that was never heard', async (path) => {
    const { status, body } = await get(`${path}registry=nowhere.example`)
    expect([status, body.message]).toEqual([
      400,
      expect.stringMatching(
        /registry: nowhere\.example is unknown, as no event came from it; "tallyman registries" .* lists/,
      ),
    ])
  })

  test('has rows by every name', async () => {
    for (const name of [NAME, ...OTHER_NAMES]) {
      expect((await get(`/inventory/images?registry=${name}`)).body.items).toHaveLength(2)
      expect((await get(`/pulls?measures=pulls&registry=${name}`)).body.total).toEqual({ pulls: 1 })
    }
  })

  test.each([
    ['registry*', 1],
    ['Registry:*', 1],
    ['registry.ex*', 0],
    ['nowhere*', 0],
    ['nowhere*,registry.example.com', 1],
  ])('of pulls can be a pattern, which stands for names alone: %s', async (pattern, pulls) => {
    expect((await get(`/pulls?measures=pulls&registry=${pattern}`)).body.total).toEqual({ pulls })
  })

  test.each(['', 'registry=a&registry=b', `registry=${'a'.repeat(2_000)}`, 'registry=%00'])(
    'is refused as other parameters are if it is no name: %s',
    async (query) => {
      const { status } = await get(`/inventory/images?${query}`)
      expect(status).toBe(query === '' ? 200 : 400)
    },
  )

  test('of pulls includes what is still recorded under its aliases', async () => {
    await outcome('moving', 'registry.example.com', 'team/moving')
    await sql`insert into pulls.registries (registry, folded_to) values ('registry.example.com', ${NOW})`.execute(
      app.app.core.stores.database.sql,
    )
    expect((await get(`/pulls?measures=pulls&repository=team/moving&registry=${NAME}`)).body.total).toEqual({
      pulls: 1,
    })
  })
})

describe('an erasure for a registry', () => {
  test.each([NAME, ...OTHER_NAMES])(
    'named as %s erases what is recorded under its name and its aliases',
    async (name) => {
      await outcome('under the name', NAME, 'team/secret')
      await outcome('under an alias', 'registry.example.com', 'team/secret')
      await outcome('of another', 'other.example', 'team/secret')
      const response = await app.post('/pulls/forget', { repository: 'team/secret', registry: name })
      expect([response.status, await response.json()]).toEqual([
        200,
        { invocations: 2, requests: 0, imported_requests: 0, days: 0, not_rewritten: [] },
      ])
      const { rows } = await sql`select id from pulls.outcomes where repository = 'team/secret'`.execute(
        app.app.core.stores.database.sql,
      )
      expect(rows).toEqual([{ id: 'of another' }])
      await sql`delete from pulls.outcomes where id = 'of another'`.execute(app.app.core.stores.database.sql)
    },
  )

  test('that was never heard is refused, and erases nothing', async () => {
    const response = await app.post('/pulls/forget', { repository: 'team/app', registry: 'nowhere.example' })
    expect([response.status, await response.text()]).toEqual([
      400,
      expect.stringMatching(/nowhere\.example is unknown/),
    ])
    expect((await get('/pulls?measures=pulls&repository=team/app')).body.total).toEqual({ pulls: 1 })
  })
})
