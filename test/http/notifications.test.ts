import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { createNotificationHandler } from '../../src/http/notifications.js'
import { NO_LOSSES } from '../../src/storage/sql/losses.js'
import { distribution } from '../../src/sources/distribution/sender.js'
import { resolveByHost } from '../../src/registries/registry-identity.js'
import { notified, openApp, type TestApp } from '../servers/app.js'
import { fixedClock } from '../servers/clock.js'
import { StatementEnded } from '../servers/seen-statements.js'
import { NOTIFICATION_TOKEN } from '../servers/service.js'
import { digestNamed } from '../servers/stub-registry.js'

let app: TestApp
beforeAll(async () => {
  app = await openApp()
})
afterAll(async () => app.close())

const report = async (response: Response): Promise<unknown> => ({
  status: response.status,
  ...((await response.json()) as object),
})

/** All that is answered until the connection is closed, to a notification whose body is written as one likes. */
const answered = async (length: string, write: (socket: Socket) => void): Promise<string> => {
  const { port, hostname } = new URL(app.url)
  return new Promise((resolve) => {
    let seen = ''
    const socket = connect(Number(port), hostname)
    socket.on('data', (chunk) => (seen += chunk.toString()))
    socket.on('error', () => undefined)
    socket.on('close', () => {
      resolve(seen)
    })
    socket.write(
      `POST /container_registry_event/events HTTP/1.1\r\nHost: x\r\nAuthorization: ${NOTIFICATION_TOKEN}\r\n${length}\r\n\r\n`,
    )
    write(socket)
  })
}

describe('the webhook takes', () => {
  test.each([
    '/container_registry_event/events',
    '/api/v4/container_registry_event/events',
    '/container_registry_event/events?x=1',
  ])('notifications at %s', async (path) => {
    const response = await app.notify({ events: [notified()] }, {}, path)
    expect(await report(response)).toEqual({ status: 200, recorded: 1, repeated: 0, skipped: {} })
    expect(response.headers.get('content-type')).toBe('application/json')
  })

  test.each([
    `Bearer ${NOTIFICATION_TOKEN}`,
    NOTIFICATION_TOKEN,
    `bearer  ${NOTIFICATION_TOKEN}`,
    'Bearer another-one',
  ])('the header "Authorization: %s"', async (authorization) => {
    expect((await app.notify({ events: [notified()] }, { authorization })).status).toBe(200)
  })

  test.each([
    'application/vnd.docker.distribution.events.v1+json',
    'application/vnd.docker.distribution.events.v2+json',
    'application/json; charset=utf-8',
    'application/vnd.docker.distribution.events.v2+json; x=y',
    'text/plain',
  ])('the content type %s', async (type) => {
    expect((await app.notify({ events: [notified()] }, { 'content-type': type })).status).toBe(200)
  })

  test('many events in one envelope, each counted in one place', async () => {
    const one = notified()
    const events = [one, one, notified(), notified({ action: 'sing' }), notified({ target: null }), 'x', notified()]
    expect(await report(await app.notify({ events }))).toEqual({
      status: 200,
      recorded: 3,
      repeated: 1,
      skipped: { unknown_action: 1, no_target: 1, not_an_object: 1 },
    })
    const again = (await report(await app.notify({ events }))) as { recorded: number; repeated: number }
    expect(again).toMatchObject({ recorded: 0, repeated: 7, skipped: {} })
  })

  test('an empty envelope', async () => {
    expect(await report(await app.notify({ events: [] }))).toEqual({
      status: 200,
      recorded: 0,
      repeated: 0,
      skipped: {},
    })
  })

  test('10,000 events in one envelope, broken ones too; what is beyond is set aside as one', async () => {
    const broken = Array.from({ length: 20_000 }, (_, i) => i)
    const expected = { status: 200, recorded: 0, repeated: 0, skipped: { not_an_object: 10_000, too_many_events: 1 } }
    expect(await report(await app.notify({ events: broken }))).toEqual(expected)
  })
})

describe('a body up to the limit', () => {
  const LARGEST = 16 * 1024 * 1024
  const bodyOf = (bytes: number): string => {
    const body = JSON.stringify({ events: [notified()] })
    return body + ' '.repeat(bytes - body.length)
  }

  test('of 16 MiB is stored', async () => {
    expect(await report(await app.notify(bodyOf(LARGEST)))).toEqual({
      status: 200,
      recorded: 1,
      repeated: 0,
      skipped: {},
    })
  })

  test('of 16 MiB is stored when its length was not announced', async () => {
    const answer = await answered('Connection: close\r\nTransfer-Encoding: chunked', (socket) => {
      socket.write(`${LARGEST.toString(16)}\r\n${bodyOf(LARGEST)}\r\n0\r\n\r\n`)
    })
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
  })

  test('of 4 MiB with the references of a large manifest is stored as one event', async () => {
    const references = Array.from({ length: 30_000 }, (_, i) => ({ size: i, digest: digestNamed(i.toString(16)) }))
    const digest = digestNamed('1a')
    const target = {
      repository: 'ci/cache',
      tag: 'cache',
      digest,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      url: `/v2/ci/cache/manifests/${digest}`,
      references,
    }
    const answer = await app.notify(JSON.stringify({ events: [notified({ target })] }, null, 3))
    expect(await report(answer)).toEqual({ status: 200, recorded: 1, repeated: 0, skipped: {} })
    const { rows } = await sql<{ entries: number }>`
      select count(*)::int as entries from inventory.manifest_blobs where manifest_digest = ${digest}
    `.execute(app.app.core.stores.database.sql)
    expect(rows).toEqual([{ entries: 30_000 }])
  })
})

describe('a body of 16 MiB of empty objects', () => {
  test('is answered 413 with the reason, and counted', async () => {
    const body = `{"events":[${'{},'.repeat(5_500_000)}{}]}`
    expect(await report(await app.notify(body))).toEqual({
      status: 413,
      message: `413 Content Too Large: a notification of ${body.length} bytes may have 687500 JSON values, and this one has more`,
    })
    const metrics = await (await app.get('/metrics')).text()
    expect(metrics).toMatch(/^tallyman_refused_requests_total\{status="413"\} [1-9]/m)
  })
})

describe('what cannot be read is set aside', () => {
  test('with its reason, and without address, token or user agent', async () => {
    const secrets = { actor: { name: 'a', user: 'header.payload.signature' }, action: 'fly' }
    await app.notify({ events: [notified({ ...secrets, target: { repository: 'set/aside' } })] })
    const { rows } = await sql<{ reason: string; detail: string; excerpt: string }>`
      select reason, detail, excerpt from rejected_events where excerpt like '%set/aside%'
    `.execute(app.app.core.stores.database.sql)
    expect(rows).toEqual([
      {
        reason: 'unknown_action',
        detail: 'action is none of push, pull, mount, delete, rename',
        excerpt: expect.stringContaining('set/aside'),
      },
    ])
    expect(JSON.stringify(rows)).not.toMatch(/203\.0\.113|signature|skopeo/)
    const { columns, rows: read } = await app.app.core.stores.database.readOnly(
      "select reason, excerpt from rejected_events where excerpt like '%set/aside%'",
      { rows: 10, seconds: 30 },
    )
    expect([columns, read]).toEqual([['reason', 'excerpt'], [['unknown_action', rows[0]?.excerpt]]])
  })

  test('once, however often it comes', async () => {
    const events = [notified({ timestamp: 'never' })]
    const count = async (): Promise<string | undefined> =>
      (
        await sql<{ n: string }>`select count(*) as n from rejected_events where reason = 'bad_timestamp'`.execute(
          app.app.core.stores.database.sql,
        )
      ).rows[0]?.n
    await app.notify({ events })
    const before = await count()
    await app.notify({ events })
    expect(await count()).toBe(before)
  })
})

describe('the webhook refuses', () => {
  test.each([
    ['no header', { authorization: '' }, /Authorization header is missing/],
    ['another token', { authorization: 'Bearer wrong' }, /not one of the notification tokens/],
    ['the API token', { authorization: 'Bearer api-token' }, /not one of the notification tokens/],
    ['a longer token', { authorization: `${NOTIFICATION_TOKEN}x` }, /not one of the notification tokens/],
  ])('%s with 401', async (_, headers, message) => {
    const response = await app.notify({ events: [notified()] }, headers)
    expect(await report(response)).toEqual({ status: 401, message: expect.stringMatching(message) })
    expect(response.headers.get('www-authenticate')).toBe('Bearer')
  })

  test.each([
    ['no JSON', 'events', /400 Bad Request: the body is not JSON/],
    ['an empty body', '', /the body is not JSON/],
    ['JSON that is no envelope', '{"event": []}', /no list named "events"/],
  ])('%s with 400', async (_, body, message) => {
    expect(await report(await app.notify(body))).toEqual({
      status: 400,
      message: expect.stringMatching(message),
    })
  })

  test('a body of more than 16 MiB with 413, and goes on serving', async () => {
    // A length that is only announced: while a body is on its way, fetch may lose the answer with the connection.
    const answer = await answered(`Content-Length: ${16 * 1024 * 1024 + 1}`, () => undefined)
    expect(answer).toMatch(/^HTTP\/1\.1 413 /)
    expect(answer).toMatch(/connection: close/i)
    expect(answer).toMatch(/"message":"413 Content Too Large: a notification may have 16777216 bytes"/)
    expect((await app.notify({ events: [notified()] })).status).toBe(200)
  })

  test('a body that grows beyond the limit without having said so', async () => {
    const answer = await answered('Transfer-Encoding: chunked', (socket) => {
      const chunk = 'x'.repeat(65_536)
      const write = (): void => {
        if (!socket.destroyed && socket.write(`10000\r\n${chunk}\r\n`)) setImmediate(write)
      }
      socket.on('drain', write)
      write()
    })
    expect(answer).toMatch(/^HTTP\/1\.1 413/)
  })

  test('any method but POST with 405', async () => {
    expect(await report(await app.get('/container_registry_event/events'))).toMatchObject({ status: 405 })
  })

  test('the log tells of a wrong token, and holds no token and no address', async () => {
    await app.notify({ events: [] }, { authorization: 'Bearer tr0ub4dor' })
    const log = app.log().join('')
    expect(log).toMatch(/no valid token/)
    expect(log).not.toMatch(/tr0ub4dor|notification-token|api-token|127\.0\.0\.1|203\.0\.113/)
  })
})

test("the merge request's own example: a delete, a push, and both without their tag", async () => {
  const example = {
    events: [
      {
        id: 'asdf-asdf-asdf-asdf-0',
        timestamp: '2026-10-14T15:04:05Z',
        action: 'delete',
        target: {
          mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
          length: 1,
          digest: 'sha256:fea8895f450959fa676bcc1df0611ea93823a735a01205fd8622846041d0c7cf',
          repository: 'library/test',
          url: 'https://example.com/v2/library/test/manifests/latest',
          tag: 'latest' as string | undefined,
        },
        request: {
          id: 'asdfasdf',
          addr: 'client.local',
          host: 'registrycluster.local',
          method: 'PUT',
          useragent: 'test/0.1',
        },
        actor: { name: 'root', user_type: 'personal_access_token' },
        source: { addr: 'hostname.local:port' },
      },
    ],
  }
  const sent = JSON.stringify(example)
  const untagged = sent.replace(',"tag":"latest"', '')
  for (const body of [sent, sent, sent.replace('delete', 'push'), untagged, untagged.replace('delete', 'push')]) {
    expect(
      (await app.notify(body, { 'content-type': 'application/vnd.docker.distribution.events.v1+json' })).status,
    ).toBe(200)
  }
  const unique = async (event: string): Promise<unknown> => {
    const query = `event_names=i_container_registry_${event}_user&start_date=2026-10-12&end_date=2026-10-19`
    return ((await (await app.get(`/usage_data/unique_events?${query}`)).json()) as { value: number }).value
  }
  for (const event of ['delete_tag', 'push_tag', 'delete_repository', 'push_repository'])
    expect(await unique(event)).toBe(1)
  // The delete came first, so the repository was known when it was pushed to.
  expect(await unique('create_repository')).toBe(0)
  const unknown = sent.replace('delete', 'push').replace(',"tag":"latest"', '').replace('library/test', 'library/new')
  await app.notify(unknown)
  expect(await unique('create_repository')).toBe(1)
})

describe('a notification that took the database too long', () => {
  test('is answered 504, and when to send it again', async () => {
    const statuses: number[] = []
    const handle = createNotificationHandler({
      ingest: async () => Promise.reject(new StatementEnded()),
      findToken: () => ({ token: 0 }),
      authorizeApi: () => 'wrong',
      resolve: (events) => resolveByHost(events, (host) => host),
      losses: NO_LOSSES,
      largestBody: 1_000_000,
      observer: { stored: () => undefined, refused: (status) => statuses.push(status) },
      now: fixedClock,
    })
    const server = createServer((request, response) => {
      handle(request, response, distribution)
    }).listen(0, '127.0.0.1')
    try {
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const body = JSON.stringify({ events: [notified()] })
      const response = await fetch(`http://127.0.0.1:${port}`, { method: 'POST', body })
      const { message } = (await response.json()) as { message: string }
      expect([response.status, response.headers.get('retry-after'), statuses]).toEqual([504, '30', [504]])
      expect(message).toMatch(/send it again: nothing counts twice$/)
      expect(message).not.toContain('ask for less')
    } finally {
      server.close()
      server.closeAllConnections()
    }
  })
})
