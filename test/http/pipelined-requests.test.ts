import { once } from 'node:events'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Router } from 'express'
import { createHttpServer } from '../../src/http/server.js'
import { eventually } from '../servers/process.js'

const MEBIBYTE = 1024 * 1024
/** More than the kernel takes for a connection. */
const LARGE = Buffer.alloc(16 * MEBIBYTE, 'x')
const WEBHOOK = '/container_registry_event/events'

let server: Server
let responses: ServerResponse[]
let clients: Socket[]
let dropped: number
beforeEach(async () => {
  responses = []
  clients = []
  dropped = 0
  const answer = (_request: unknown, response: ServerResponse): void => {
    response.setHeader('content-length', LARGE.length)
    response.end(LARGE)
  }
  server = createHttpServer({
    notifications: (request, response) => {
      request.resume()
      answer(request, response)
    },
    open: [Router().get('/open', answer), Router().get('/small', (_request, response) => response.send('small'))],
    metrics: [],
    closed: [Router().get('/closed', answer)],
    queryTurns: (_request, _response, next) => {
      next()
    },
    authorizeApi: ({ authorization }) => (authorization === 'token' ? { token: 0, scope: 'read' } : 'missing'),
    findToken: () => 'missing',
    mostConnections: 100,
    onMisdirected: () => undefined,
    onError: () => undefined,
    onDropped: () => undefined,
    onUnread: () => dropped++,
  })
  server.on('request', (_request: IncomingMessage, response: ServerResponse) => responses.push(response))
  await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterEach(() => {
  for (const client of clients) client.destroy()
  server.closeAllConnections()
  server.close()
})

/** A client that sends a request several times at once, and reads nothing until it is resumed. */
const send = (request: string, times: number): Socket => {
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined)
  client.pause()
  client.write(request.repeat(times))
  clients.push(client)
  return client
}

/** Bytes of answers that this process has in memory. */
const unread = (): number =>
  responses.reduce((sum, { destroyed, writableLength }) => sum + (destroyed ? 0 : writableLength), 0)

const until = async (what: string, isSo: () => boolean): Promise<void> =>
  eventually(what, async () => Promise.resolve(isSo()))

const turns = async (): Promise<void> => {
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
}

const routes = [
  ['an open route', 'GET /open HTTP/1.1\r\nHost: x\r\n\r\n'],
  ['a route with a token', 'GET /closed HTTP/1.1\r\nHost: x\r\nAuthorization: token\r\n\r\n'],
  ['the webhook', `POST ${WEBHOOK} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`],
] as const

describe.each(routes)('of a client that sends many requests to %s at once and reads nothing', (_route, request) => {
  test('one answer is made at a time, and all arrive when it reads', async () => {
    const client = send(request, 17)
    await until('all requests came', () => responses.length === 17)
    await until('an answer waits for its client', () => unread() > 0)
    await turns()
    expect(unread()).toBeLessThanOrEqual(LARGE.length + 1_000)
    expect(responses[0]?.socket?.timeout).toBe(30_000)
    let received = 0
    client.on('data', ({ length }) => (received += length)).resume()
    await until('all answers arrived', () => received > 17 * LARGE.length)
    expect(dropped).toBe(0)
  })

  test('the connection is closed if more than 16 requests wait', async () => {
    const client = send(request, 1_100)
    client.resume()
    await once(client, 'close')
    await until('nothing is in memory', () => unread() === 0)
    expect(responses.filter(({ headersSent }) => headersSent)).toHaveLength(1)
  })

  test('all connections together have at most 96 MiB of answers in memory', async () => {
    for (let i = 0; i < 20; i++) send(request, 1)
    await until('all requests came', () => responses.length === 20)
    await turns()
    expect(unread()).toBeLessThanOrEqual(96 * MEBIBYTE)
    expect(unread()).toBeGreaterThan(48 * MEBIBYTE)
    expect(dropped).toBe(responses.filter(({ destroyed }) => destroyed).length)
    expect(dropped).toBeGreaterThan(0)
    const reader = send('GET /small HTTP/1.1\r\nHost: x\r\n\r\n', 1).resume()
    expect(String(await once(reader, 'data'))).toContain('small')
  })
})

test('a request that expects what no server does is refused in its turn', async () => {
  const expecting = 'GET /small HTTP/1.1\r\nHost: x\r\nExpect: more\r\n\r\n'
  const client = send(`${routes[0][1]}${expecting}GET /small HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`, 1)
  let text = ''
  client.on('data', (chunk: Buffer) => (text += chunk.toString('latin1'))).resume()
  await once(client, 'close')
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 417', 'HTTP/1.1 200'])
})
