import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { shortNumber } from '../../src/http/badges.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { createSender } from '../servers/fuzz.js'
import { heardAt } from '../servers/heard.js'
import { digestOf } from '../servers/history.js'

const NOW = new Date('2026-11-21T12:00:00Z')
let app: TestApp
beforeAll(async () => {
  app = await openApp({ TALLYMAN_PUBLIC_BADGES: 'team/app,public/*' }, () => NOW)
  const db = app.app.core.stores.database.sql
  await sql`
    insert into pulls.outcomes (id, what, at, registry, repository, tag, by_tag, origin, endpoint, source, gets, client, kind, country)
    select n::text, 'invocation', '2026-11-20T12:00:00Z'::timestamptz - n * interval '20 minutes', 'registry.example',
      case n % 2 when 0 then 'team/app' else 'team/secret' end, '1.0', true, 'origin' || n % 5, 'endpoint', 'notification', 1,
      '<b>"&', 'runtime', 'DE'
    from generate_series(1, 1500) n
  `.execute(db)
  await sql`insert into pulls.registries (registry, folded_to) values ('registry.example', ${NOW})`.execute(db)
})
afterAll(async () => app.close())

const get = async (path: string): Promise<{ status: number; body: Record<string, unknown> }> => {
  const response = await app.get(path)
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

describe('GET /pulls', () => {
  test.each(['/pulls', '/pulls/pullers', '/pulls/behaviour'])('%s requires an API token', async (path) => {
    for (const headers of [{}, { authorization: 'Bearer notification-token' }])
      expect((await app.get(path, headers)).status).toBe(401)
  })

  test('answers with rows, the total, the period, the definitions, and notes', async () => {
    const query = 'measures=pulls,unique_origins&group_by=country&period=last-28-days&compare=previous&tz=Europe/Berlin'
    const { status, body } = await get(`/pulls?${query}`)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      rows: [{ country: 'DE', pulls: 1_500, unique_origins: 5 }],
      total: { pulls: 1_500, unique_origins: 5 },
      period: { since: '2026-10-24', until: '2026-11-20', time_zone: 'Europe/Berlin' },
      previous: { period: { since: '2026-09-26', until: '2026-10-23' }, total: { pulls: 0, unique_origins: 0 } },
      definitions: { pulls: { made: 'counted' }, unique_origins: { made: 'estimated' } },
      is_cut: false,
    })
    expect(body.notes).toEqual([
      expect.stringMatching(/^Origins get new names on the first of each month/),
      expect.stringMatching(
        /^Requests get their countries on arrival, currently from a file as of 20\d\d-\d\d-\d\d\.$/,
      ),
    ])
  })

  test('has notes on the previous period, too', async () => {
    const week = 'measures=unique_origins&since=2026-11-03&until=2026-11-09&compare=previous'
    const { body } = await get(`/pulls?${week}`)
    expect(body.notes).toEqual([expect.stringMatching(/^Origins get new names/)])
  })

  test('answers a comparison in CSV, with or without groups', async () => {
    const query = '/pulls?measures=pulls&period=last-7-days&compare=previous&repository=team/*&format=csv'
    expect(await (await app.get(query)).text()).toBe('pulls,previous_pulls\r\n468,504\r\n')
    const byDay = await app.get(`${query}&group_by=day`)
    expect(await byDay.text()).toMatch(/^day,pulls\r\n/)
    expect(JSON.parse(byDay.headers.get('tallyman-notes') ?? '[]')).toContain(
      'The period before, 2026-11-07 to 2026-11-13: pulls 504.',
    )
  })

  test.each([
    ['/pulls?repository=team/ap', ['repository "team/ap"'], true],
    ['/pulls?repository=team/ap&group_by=day', ['repository "team/ap"'], true],
    ['/pulls/pullers?tag=nowhere&client=typo', ['tag "nowhere", client "typo"'], false],
    ['/pulls/behaviour?repository=team/ap', ['repository "team/ap"'], true],
  ])('%s has a note that no row matches', async (path, [filters], isUnknown) => {
    const { status, body } = await get(path)
    expect(status).toBe(200)
    const notes = body.notes as string[]
    expect(notes).toContain(`There are no numbers for ${filters} in this period; check the spelling.`)
    expect(notes.some((note) => note.startsWith('The inventory has no repository "team/ap"'))).toBe(isUnknown)
  })

  test('has no such note if a row matches, or without filters', async () => {
    for (const path of ['/pulls?client=<b>*', '/pulls?period=2020-01'])
      expect(JSON.stringify((await get(path)).body.notes)).not.toContain('There are no numbers')
  })

  test('answers in CSV and NDJSON', async () => {
    const query = '/pulls?measures=pulls&group_by=repository,client&period=last-28-days'
    const csv = await app.get(`${query}&format=csv`)
    expect(csv.headers.get('content-type')).toMatch(/^text\/csv/)
    expect(await csv.text()).toBe('repository,client,pulls\r\nteam/app,"<b>""&",750\r\nteam/secret,"<b>""&",750\r\n')
    expect(await (await app.get(`${query}&format=csv&tag=none`)).text()).toBe('repository,client,pulls\r\n')
    const lines = (await (await app.get(`${query}&format=ndjson`)).text()).trim().split('\n')
    expect(lines.map((line) => JSON.parse(line) as unknown)).toHaveLength(2)
  })

  test.each(['csv', 'ndjson'])('sends notes in a header of %s', async (format) => {
    const query = '/pulls?measures=pulls,unique_origins&group_by=country,hour&period=last-28-days&limit=1'
    const { headers } = await app.get(`${query}&format=${format}`)
    const { notes } = (await get(query)).body as { notes: string[] }
    expect(notes).toHaveLength(2)
    const sent = JSON.parse(headers.get('tallyman-notes') ?? '') as string[]
    expect(sent).toEqual([...notes, 'More groups exist; raise limit.'])
  })

  test.each([
    '/pulls?period=today',
    '/pulls?period=today&format=csv',
    '/pulls?period=today&format=ndjson',
    '/pulls/pullers?period=today',
    '/pulls/behaviour',
    '/pulls/behaviour?repository=team/new',
  ])('%s says since when its numbers are provisional', async (path) => {
    const db = app.app.core.stores.database.sql
    const since = '2026-11-21T11:59:00.000000Z'
    await sql`
        insert into pulls.registries (registry, folded_to) values ('provisional.example', '2026-11-21T11:58:00Z') on conflict do nothing
      `.execute(db)
    await sql`
        insert into provisional.outcomes
          (id, what, at, last_at, registry, repository, tag, by_tag, origin, endpoint, source, gets, client, kind)
        values ('p', 'invocation', ${since}, ${since}, 'provisional.example', 'team/new', '1.0', true, 'o', 'e', 'notification', 1, 'c', 'cli')
      `.execute(db)
    await sql`
      insert into pulls.pending (id, registry, at, repository, origin, request, who)
      values (gen_random_uuid(), 'provisional.example', ${since}, 'team/new', 'o', '{}', '{}')
    `.execute(db)
    const { headers } = await app.get(path)
    await sql`delete from pulls.pending`.execute(db)
    await sql`delete from provisional.outcomes`.execute(db)
    await sql`delete from pulls.registries where registry = 'provisional.example'`.execute(db)
    expect(headers.get('tallyman-provisional-since')).toBe('2026-11-21T11:58:00.000000Z')
    expect((await app.get(path)).headers.get('tallyman-provisional-since')).toBeNull()
  })

  test('has its heading even if there are no groups', async () => {
    const query = '/pulls?measures=pulls,checks&group_by=day,client&repository=team/none'
    expect((await get(query)).body).toMatchObject({ rows: [], columns: ['day', 'client', 'pulls', 'checks'] })
    expect(await (await app.get(`${query}&format=csv`)).text()).toBe('day,client,pulls,checks\r\n')
    expect(await (await app.get(`${query}&format=ndjson`)).text()).toBe('')
  })

  test('goes by hours and days of the time zone', async () => {
    const { body } = await get('/pulls?measures=pulls&group_by=hour&since=2026-11-20&until=2026-11-20&tz=Asia/Tokyo')
    // The twentieth begins there at 15:00 of the nineteenth.
    expect(body.rows).toHaveLength(21)
    expect(body.rows).toContainEqual({ hour: '2026-11-20T00:00', pulls: 3 })
  })

  test('says since when requests are pending', async () => {
    const target = { repository: 'team/new', tag: '1.0', mediaType: 'application/vnd.oci.image.manifest.v1+json' }
    const request = { addr: '192.0.2.1', host: 'registry.example', method: 'GET', useragent: 'curl/8.0' }
    const later = new Date(NOW.getTime() + 1)
    await app.notify({ events: [notified({ timestamp: later.toISOString(), action: 'pull', target, request })] })
    const note =
      'Requests since 2026-11-21 13:00:00 (Europe/Berlin) are pending, and not all included in these numbers yet.'
    expect((await get('/pulls?period=today&tz=Europe/Berlin')).body.notes).toContainEqual(note)
    expect((await get('/pulls?period=yesterday&tz=Europe/Berlin')).body.notes).toEqual([])
  })

  test.each([
    ['/pulls?measures=stars', /^400 Bad Request: measures: "stars" is not known/],
    ['/pulls?format=xml', /^400 Bad Request: format: expected json, csv, ndjson$/],
    ['/pulls?tag=a&tag=b', /^400 Bad Request: tag: expected one value$/],
    ['/pulls?limit=1e3', /^400 Bad Request: limit: expected a whole number from 1 to \d+$/],
    ['/pulls/pullers?top=0x10', /^400 Bad Request: top: expected a whole number from 1 to 1000$/],
    ['/pulls/pullers?top=0', /^400 Bad Request: top: expected a whole number from 1 to 1000$/],
    ['/pulls/pullers?group_by=client', /^400 Bad Request: group_by: is not a parameter of pullers$/],
    ['/pulls?hour=18', /^400 Bad Request: hour: "18" is not an hour; expected a value such as 2026-11-28T18:00/],
    ['/pulls/pullers?week=48', /^400 Bad Request: week: "48" is not a week; expected a value such as 2026-W48/],
    ['/requests?sinc=5', /^400 Bad Request: "sinc" is not a parameter; expected registry, repository, tag, digest, /],
    ['/requests?since=x', /^400 Bad Request: since: expected the cursor of the last request that you have, or a day$/],
    ['/requests?tag=a&since=5', /^400 Bad Request: since: "5" is not a day from 1970 to 2999; /],
    ['/requests?since=2026-02-30', /^400 Bad Request: since: "2026-02-30" is not a day /],
    ['/requests?tag=a&format=xml', /^400 Bad Request: format: expected json, csv, ndjson$/],
    ['/pulls/behaviour?days=1000', /^400 Bad Request: days: expected a whole number from 1 to 90$/],
    ['/pulls/behaviour?repository=a%00b', /^400 Bad Request: repository: contains characters that no name has$/],
    ['/pulls/behaviour?colour=red', /^400 Bad Request: colour: expected repository, days, limit$/],
  ])('%s is refused with a reason', async (path, message) => {
    const { status, body } = await get(path)
    expect(status).toBe(400)
    expect(body.message).toMatch(message)
  })

  test('lists single requests and counts them by day, in every format', async () => {
    expect((await get('/requests?repository=team/none')).body).toEqual({ requests: [], is_cut: false, notes: [] })
    const counted = '/requests?repository=team/none&group_by=day'
    expect((await get(counted)).body).toMatchObject({ columns: ['day', 'requests', 'bytes'], rows: [], is_cut: false })
    expect(await (await app.get(`${counted}&format=csv`)).text()).toBe('day,requests,bytes\r\n')
    expect(await (await app.get('/requests?since=2026-11-20&format=csv')).text()).toMatch(/^at,registry,repository,/)
  })

  test('reports who pulls most, and the numbers without them', async () => {
    const { body } = await get('/pulls/pullers?period=last-28-days&repository=team/app&top=2')
    expect(body).toMatchObject({
      pulls: 750,
      pullers: 5,
      median_pulls: 150,
      top_share: 0.4,
      without_top: { pulls: 450, pullers: 3 },
    })
    expect(body.top).toHaveLength(2)
    expect(body.notes).toEqual([expect.stringMatching(/^Origins get new names on the first of each month/)])
  })

  test('says since when single invocations are stored', async () => {
    const db = app.app.core.stores.database.sql
    const notes = async (query: string): Promise<unknown> => (await get(`/pulls/pullers?${query}`)).body.notes
    await sql`update pulls.registries set kept_from = '2026-11-08'`.execute(db)
    const note = 'Single invocations are stored since 2026-11-08: these numbers do not include older ones.'
    expect(await notes('since=2026-11-07')).toEqual([note])
    expect(await notes('since=2026-11-08')).toEqual([])
    // It begins an hour earlier there.
    expect(await notes('since=2026-11-08&tz=Europe/Berlin')).toEqual([note])
    await sql`update pulls.registries set kept_from = '-infinity'`.execute(db)
  })

  test('reports the period, and notes on pullers', async () => {
    const db = app.app.core.stores.database.sql
    await sql`update pulls.registries set kept_from = '2026-10-26'`.execute(db)
    const { body } = await get('/pulls/pullers?period=last-28-days&tz=Asia/Tokyo')
    await sql`update pulls.registries set kept_from = '-infinity'`.execute(db)
    expect(body).toMatchObject({
      period: { since: '2026-10-24', until: '2026-11-20', time_zone: 'Asia/Tokyo' },
      notes: [
        expect.stringMatching(/^Origins get new names on the first of each month/),
        'Single invocations are stored since 2026-10-26: these numbers do not include older ones.',
      ],
    })
  })

  test('reports the behaviour of origins with its evidence', async () => {
    const { body } = await get('/pulls/behaviour?repository=team/app&days=7')
    expect(body.items).toHaveLength(5)
    expect(body.items).toContainEqual(
      expect.objectContaining({ origin: 'origin1', pattern: 'regular_poller', likely: 'deployment', period: 12_000 }),
    )
  })
})

describe('GET /pulls/last-used', () => {
  const HEADING = 'registry,repository,tag,digest,size,pushed_at,last_used_at,last_pulled_at,client,kind'

  beforeAll(async () => {
    const anEventAt = (at: string, tag: string, method: string, action = 'pull'): object =>
      notified({
        timestamp: at,
        action,
        target: {
          repository: 'team/old',
          tag,
          digest: digestOf(tag),
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
        },
        request: { addr: '192.0.2.1', host: 'registry.example', method, useragent: 'containerd/1.7.0' },
      })
    const pushed = ['1a', '1b', '1c'].map((tag) => anEventAt('2026-02-10T10:00:00Z', tag, 'PUT', 'push'))
    await app.notify({
      events: [
        ...pushed,
        anEventAt('2026-11-01T10:00:00Z', '1b', 'HEAD'),
        anEventAt('2026-04-01T10:00:00Z', '1c', 'GET'),
      ],
    })
    await heardAt(app.app.core.stores.database.sql, NOW)
  })

  test('requires an API token', async () => {
    expect((await app.get('/pulls/last-used', {})).status).toBe(401)
  })

  test('answers in pages, with never-used tags first', async () => {
    const { body } = await get('/pulls/last-used?limit=2')
    expect(body).toMatchObject({
      items: [
        { tag: '1a', last_used_at: null, last_pulled_at: null, client: null },
        { tag: '1c', last_used_at: '2026-04-01T10:00:00.000000Z', last_pulled_at: '2026-04-01T10:00:00.000000Z' },
      ],
      definition: expect.stringMatching(/^last_used_at is the newest pull or check/),
    })
    const last = await get(`/pulls/last-used?limit=2&after=${String(body.next)}`)
    expect(last.body).toMatchObject({ items: [{ tag: '1b', last_pulled_at: null }], next: null })
  })

  test('lists unused tags for a clean-up, as CSV', async () => {
    const csv = await app.get('/pulls/last-used?unused_for=90d&repository=team/old&format=csv&limit=1')
    expect(csv.headers.get('content-type')).toMatch(/^text\/csv/)
    expect(await csv.text()).toBe(
      `${HEADING}\r\nregistry.example,team/old,1a,${digestOf('1a')},,2026-02-10T10:00:00.000000Z,,,,\r\n`,
    )
    const [, next = ''] = /^<(\/pulls\/last-used\?.*&after=.*)>; rel="next"$/.exec(csv.headers.get('link') ?? '') ?? []
    expect((await (await app.get(next)).text()).split('\r\n')[1]).toMatch(/^registry\.example,team\/old,1c,/)
  })

  test.each([
    ['format=xml', /format: expected json, csv, ndjson/],
    ['unused_for=long', /unused_for: is an age such as 90d/],
    ['after=x', /cursor: is not a cursor of this question/],
    ['period=today', /period: is not a parameter of last-used/],
  ])('%s is refused', async (query, message) => {
    const { status, body } = await get(`/pulls/last-used?${query}`)
    expect([status, body.message]).toEqual([400, expect.stringMatching(message)])
  })
})

describe('GET /metrics', () => {
  test('has pulls of the first 500 repositories, and of all others together', async () => {
    await sql`
      insert into pulls.totals (registry, repository, invocations, pulls)
      select 'registry.example', 'team/app-' || n, 3, 2 from generate_series(1, 510) n order by n
    `.execute(app.app.core.stores.database.sql)
    const text = await (await app.get('/metrics')).text()
    expect(text).toMatch(/^tallyman_pulls_total\{registry="registry\.example",repository="team\/app-500"\} 2$/m)
    expect(text).toMatch(/^tallyman_invocations_total\{registry="registry\.example",repository="team\/app-1"\} 3$/m)
    expect(text).toMatch(/^tallyman_pulls_total\{registry="other",repository="other"\} 20$/m)
    expect(text.match(/^tallyman_pulls_total\{/gm)).toHaveLength(501)
  })
})

describe('POST /pulls/forget', () => {
  test.each([
    [{}, /expected an origin, a repository, or both/],
    [{ repository: 'a\0b' }, /repository: contains characters that no name has/],
  ])('wants an origin or a repository, not %j', async (body, message) => {
    const response = await app.post('/pulls/forget', body)
    expect(response.status).toBe(400)
    expect(((await response.json()) as { message: string }).message).toMatch(message)
  })

  test('erases a repository and nothing else', async () => {
    await sql`
      insert into pulls.pending (id, registry, at, repository, origin, request, who)
      select gen_random_uuid(), 'registry.example', '2026-11-21T11:59:00Z', repository, 'o', '{}', '{}'
      from unnest(array['team/secret', 'team/secret', 'team/other']) repository
    `.execute(app.app.core.stores.database.sql)
    const response = await app.post('/pulls/forget', { repository: 'team/secret' })
    expect(await response.json()).toEqual({
      invocations: 750,
      requests: 2,
      imported_requests: 0,
      days: 0,
      not_rewritten: [],
    })
    const { body } = await get('/pulls?measures=pulls&group_by=repository&period=last-28-days')
    expect(body.rows).toEqual([{ repository: 'team/app', pulls: 750 }])
  })
})

test.each(['US/Pacific-New', 'SST', 'IST', 'BST', 'PST'])(
  'tz=%s, which only JavaScript knows or reads so, is 400',
  async (tz) => {
    for (const path of ['/pulls', '/pulls/pullers'])
      expect(await get(`${path}?tz=${tz}`)).toEqual({
        status: 400,
        body: {
          message: expect.stringMatching(/^400 Bad Request: tz: .*expected an IANA name, for example Europe\/Berlin$/),
        },
      })
  },
)

describe('GET /badge/…', () => {
  const badge = async (path: string): Promise<Response> => app.get(`/badge/${path}`, {})

  test('is one number as an image, for anybody', async () => {
    const response = await badge('team/app.svg?measure=unique_origins&period=30d')
    expect(response.status).toBe(200)
    expect(response.headers.get('content-type')).toMatch(/^image\/svg\+xml/)
    expect(response.headers.get('cache-control')).toBe('public, max-age=300')
    expect(await response.text()).toMatch(/<title>unique origins \(30d\): 5<\/title>/)
  })

  test.each([
    ['', '2026-10-22 to 2026-11-20 (UTC)'],
    ['?period=today', '2026-11-21 to 2026-11-21 (UTC)'],
  ])('%s contains its first and last day', async (query, days) => {
    expect(await (await badge(`team/app.svg${query}`)).text()).toContain(`<desc>${days}</desc>`)
  })

  test('is computed once in five minutes, and not sent again to those who have it', async () => {
    const db = app.app.core.stores.database.sql
    const path = 'public/once.svg?measure=pulls&period=30d'
    const first = await badge(path)
    expect(await first.text()).toMatch(/: 0<\/title>/)
    await sql`
      insert into pulls.outcomes (id, what, at, registry, repository, tag, by_tag, origin, endpoint, source, gets, client, kind, country)
      values ('once', 'invocation', '2026-11-20T12:00:00Z', 'registry.example', 'public/once', '1.0', true, 'o', 'e', 'notification', 1, 'c', 'runtime', 'DE')
    `.execute(db)
    expect(await (await badge(path)).text()).toMatch(/: 0<\/title>/)
    const etag = first.headers.get('etag') ?? ''
    // fetch asks for a new answer if it is given an ETag.
    const sender = createSender(app.url)
    const same = await sender.send({ method: 'GET', target: `/badge/${path}`, headers: { 'if-none-match': etag } })
    sender.close()
    expect([same.status, same.headers['cache-control']]).toEqual([304, 'public, max-age=300'])
    const other = await badge('public/once.svg?measure=pulls&period=31d')
    expect(await other.text()).toMatch(/: 1<\/title>/)
    expect(other.headers.get('etag')).not.toBe(etag)
  })

  test('names the parameter as badges have it if the measure is unknown', async () => {
    const { message } = (await (await badge('team/app.svg?measure=pull')).json()) as { message: string }
    expect(message).toMatch(/^400 Bad Request: measure: "pull" is not known/)
  })

  test('of a period that is written at length is refused', async () => {
    for (const period of ['+'.repeat(1_000) + '30d', 'every-monday-of-'.repeat(900) + '2026']) {
      const response = await badge(`team/app.svg?period=${period}`)
      expect([response.status, await response.json()]).toEqual([
        400,
        { message: '400 Bad Request: period: expected one of at most 60 characters' },
      ])
    }
  })

  test.each([
    ['team/secret.svg', 404],
    ['team/app', 404],
    ['team/app.svg?repository=team/secret', 404],
    ['public/%3Cscript%3E.svg', 404],
    ['team/app.svg?period=%3Cscript%3E', 400],
    ['team/app.svg?period=0001', 400],
    ['team/app.svg?measure=pulls&measure=checks', 400],
    ['team/app.svg?measure=pulls,checks', 400],
    ['public/anything.svg', 200],
  ])('%s is answered %d', async (path, status) => {
    expect((await badge(path)).status).toBe(status)
  })

  test.each([
    [0, '0'],
    [999, '999'],
    [1_000, '1.0k'],
    [9_960, '10k'],
    [34_400, '34k'],
    [999_499, '999k'],
    [999_500, '1.0M'],
    [5_640_000, '5.6M'],
    [999_500_000, '1.0G'],
    [12_300_000_000_000, '12T'],
  ])('shows %d as %s', (value, text) => {
    expect(shortNumber(value)).toBe(text)
  })
})

describe('with pulls_least_pullers', () => {
  let limited: TestApp
  beforeAll(async () => {
    limited = await openApp({ TALLYMAN_PULLS_LEAST_PULLERS: '3', TALLYMAN_PUBLIC_BADGES: 'a,b' }, () => NOW)
    const db = limited.app.core.stores.database.sql
    await sql`
      insert into pulls.outcomes (id, what, at, registry, repository, origin, endpoint, source, gets, client, kind)
      select repository || n, 'invocation', '2026-11-20T12:00:00Z', 'registry.example', repository, 'origin' || n, 'e', 'notification',
        1, 'docker', 'runtime'
      from (values ('a', 4), ('b', 2), ('c', 1)) of (repository, origins) cross join lateral generate_series(1, origins) n
    `.execute(db)
    await sql`insert into pulls.registries (registry, folded_to) values ('registry.example', ${NOW})`.execute(db)
  })
  afterAll(async () => limited.close())
  const text = async (path: string, headers?: Record<string, string>): Promise<string> =>
    (await limited.get(path, headers)).text()

  test('numbers of fewer pullers are not shown, in any format', async () => {
    const query = '/pulls?measures=pulls&group_by=repository,day&period=last-28-days'
    const rows = [{ repository: 'other', day: '2026-11-20', pulls: 7 }]
    expect(JSON.parse(await text(query))).toMatchObject({ rows, total: { pulls: 7 } })
    expect(await text(`${query}&format=csv`)).toBe('repository,day,pulls\r\nother,2026-11-20,7\r\n')
    expect(JSON.parse(await text(`${query}&format=ndjson`))).toEqual(rows[0])
    expect(JSON.parse(await text(`${query}&repository=b`))).toMatchObject({ rows: [], total: {} })
    expect(await text('/badge/a.svg', {})).toMatch(/<title>pulls \(30d\): 4<\/title>/)
    expect(await text('/badge/b.svg', {})).toMatch(/<title>pulls \(30d\): few<\/title>/)
  })

  test('single origins are not shown', async () => {
    expect(JSON.parse(await text('/pulls/pullers?period=last-28-days'))).toMatchObject({ pulls: 7, top: [] })
    const refused = await limited.get('/pulls/behaviour')
    expect([refused.status, await refused.text()]).toEqual([400, expect.stringMatching(/pulls_least_pullers is 3/)])
  })
})
