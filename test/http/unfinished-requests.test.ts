import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { limitUnfinished } from '../../src/http/unfinished-requests.js'

let server: Server
let begun: string[]
let clock: number
beforeEach(async () => {
  begun = []
  clock = 0
  const limit = limitUnfinished({
    most: 2,
    elapsed: () => clock,
    hasToken: ({ url = '' }) => url.startsWith('/token'),
  })
  server = createServer((request, response) => {
    limit(request)
    begun.push(request.url ?? '')
    if (request.url === '/slow-answer') return
    request.resume().on('end', () => response.end('done'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterEach(() => {
  server.closeAllConnections()
  server.close()
})

/** Sends a request with ten bytes of a body, or fewer. */
const send = async (path: string, body: string): Promise<Socket> => {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').on('error', () => undefined)
  socket.write(`POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n${body}`)
  while (!begun.includes(path)) await once(server, 'request')
  return socket
}

test('of bodies that do not end the oldest are closed; complete requests and new ones are answered', async () => {
  const waiting = await send('/slow-answer', '0123456789')
  const first = await send('/first', 'half')
  const second = await send('/second', 'half')
  const closed = [once(first, 'close'), once(second, 'close')]
  clock += 2_000
  await send('/third', 'half')
  await closed[0]
  const answer = once(await send('/whole', '0123456789'), 'data')
  await Promise.all([answer, closed[1]])
  expect(waiting.destroyed).toBe(false)
})

test('those with a token are closed last', async () => {
  const known = await send('/token', 'half')
  const strangers = [await send('/1', 'half')]
  for (const path of ['/2', '/3', '/4']) {
    clock += 2_000
    const closed = once(strangers.at(-1) ?? known, 'close')
    strangers.push(await send(path, 'half'))
    await closed
  }
  const answered = once(known.resume(), 'data')
  known.write('456789')
  await answered
})

test('each body has two seconds, however many there are', async () => {
  const sockets = []
  for (const path of ['/1', '/2', '/3', '/4']) sockets.push(await send(path, 'half'))
  clock += 1_999
  sockets.push(await send('/5', 'half'))
  const answers = sockets.map(async (socket) => once(socket.resume(), 'data'))
  for (const socket of sockets) socket.write('456789')
  await Promise.all(answers)
})
