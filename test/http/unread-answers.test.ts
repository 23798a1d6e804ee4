import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { expect, test } from '@jest/globals'
import { checkSize } from '../../src/http/formats.js'
import { limitUnread } from '../../src/http/unread-answers.js'
import { eventually } from '../servers/process.js'

test('an answer that its client does not read is dropped', async () => {
  const watch = limitUnread({ limitMs: 200 })
  const server = createServer((_request, response) => {
    watch(response)
    response.end(Buffer.alloc(64 * 1024 * 1024))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const client = connect((server.address() as AddressInfo).port, '127.0.0.1')
  client.on('error', () => undefined)
  client.pause()
  client.write('GET /large HTTP/1.1\r\nHost: x\r\n\r\n')
  const connections = async (): Promise<number> =>
    new Promise((resolve, reject) => {
      server.getConnections((error, count) => {
        if (error) reject(error)
        else resolve(count)
      })
    })
  await eventually('the client is connected', async () => (await connections()) === 1)
  await eventually('its connection is closed', async () => (await connections()) === 0)
  client.destroy()
  await new Promise((resolve) => server.close(resolve))
})

test('rows of more than 32 MiB are refused, with what makes them fewer', () => {
  const row = { name: 'x'.repeat(10_000), labels: { a: ['y'.repeat(1_000)] } }
  expect(() => {
    checkSize(Array<typeof row>(2_000).fill(row))
  }).not.toThrow()
  expect(() => {
    checkSize(Array<typeof row>(4_000).fill(row))
  }).toThrow(/^400 Bad Request: limit: the answer has more than 32 MiB; ask for fewer rows with a smaller limit$/)
})
