import { once } from 'node:events'
import type { Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { Router } from 'express'
import { createHttpServer } from '../../src/http/server.js'
import { eventually } from '../servers/process.js'

const MOST = 16
const TOKEN = 'Authorization: token\r\n'
const OTHER = 'Authorization: other\r\n'

let server: Server
let clients: Socket[]
let dropped: string[]
let slow: number
beforeEach(async () => {
  clients = []
  dropped = []
  slow = 0
  server = createHttpServer({
    notifications: (_request, response) => response.end('stored'),
    open: [
      Router().get('/healthz', (_request, response) => response.send('alive')),
      Router().post('/slow', () => slow++),
    ],
    metrics: [],
    closed: [],
    queryTurns: (_request, _response, next) => {
      next()
    },
    authorizeApi: () => 'missing',
    findToken: (given) => {
      const token = ['token', 'other'].indexOf(given ?? '')
      return token === -1 ? 'missing' : { token }
    },
    onMisdirected: () => undefined,
    onError: () => undefined,
    onDropped: (why) => dropped.push(why),
    onUnread: () => undefined,
    mostConnections: MOST,
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
})
afterEach(() => {
  for (const client of clients) client.destroy()
  server.closeAllConnections()
  server.close()
})

const open = async (becomes: 'connection' | 'drop' = 'connection'): Promise<Socket> => {
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined)
  clients.push(client)
  await once(server, becomes)
  return client
}

/** @returns the answer; empty if the connection was closed without one */
const send = async (client: Socket, request: string, headers = ''): Promise<string> => {
  client.write(`${request} HTTP/1.1\r\nHost: x\r\n${headers}\r\n`)
  const answer = new Promise<string>((resolve) => {
    client.once('data', (chunk) => {
      resolve(chunk.toString())
    })
    client.once('close', () => {
      resolve('')
    })
  })
  return answer
}
const notify = async (client: Socket, token = TOKEN): Promise<string> =>
  send(client, 'POST /container_registry_event/events', `${token}Content-Length: 0\r\n`)

test('a health probe keeps its connection while few are open, and reconnects while many are', async () => {
  const probe = await open()
  expect(await send(probe, 'GET /healthz')).toContain('Connection: keep-alive')
  const registry = await open()
  expect(await notify(registry)).toContain('Connection: keep-alive')
  for (let i = 0; i < 4; i++) await open()
  expect(await send(probe, 'GET /healthz')).toMatch(/200 OK[^]*connection: close/i)
  expect(await notify(registry)).toContain('Connection: keep-alive')
})

test('a registry is answered however many connections without a token are open', async () => {
  const registry = await open()
  expect(await notify(registry)).toContain('200 OK')
  const oldest = await open()
  for (let i = 0; i < 3 * MOST; i++) {
    const client = await open()
    if (i % 2 === 0) await send(client, 'GET /healthz')
  }
  expect(await notify(await open())).toContain('200 OK')
  expect(await notify(registry)).toContain('200 OK')
  await eventually('the oldest of them is closed', async () => Promise.resolve(oldest.destroyed))
  expect(dropped).toContain('idle')
  expect(dropped).not.toContain('full')
})

test('the holder of another token is answered however many connections one token has open', async () => {
  const registry = await open()
  expect(await notify(registry, OTHER)).toContain('200 OK')
  let kept = 0
  for (let i = 0; i < 3 * MOST; i++) {
    const answer = await notify(await open())
    expect(answer).toContain('200 OK')
    if (/connection: keep-alive/i.test(answer)) kept++
  }
  expect(kept).toBeLessThan(MOST)
  expect(await notify(await open(), OTHER)).toContain('200 OK')
  expect(await notify(registry, OTHER)).toMatch(/200 OK[^]*connection: keep-alive/i)
  expect(dropped).not.toContain('full')
})

test('connections that find all others in use by requests are counted', async () => {
  const waiting = async (): Promise<void> => {
    const client = await open()
    client.write(`POST /slow HTTP/1.1\r\nHost: x\r\n${TOKEN}Content-Length: 0\r\n\r\n`)
    await eventually('it is under way', async () => Promise.resolve(slow === clients.length))
  }
  for (let i = 0; i < MOST; i++) await waiting()
  expect(await send(await open('drop'), 'GET /healthz')).toBe('')
  expect(dropped).toEqual(['full'])
})
