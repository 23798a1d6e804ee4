import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { expect, test } from '@jest/globals'
import express from 'express'
import { checkSize } from '../../src/http/formats.js'
import { dropUnread } from '../../src/http/unread-answers.js'
import { openApp } from '../servers/app.js'
import { eventually } from '../servers/process.js'

test('an answer that its client does not read is dropped', async () => {
  const app = express().use(dropUnread(200))
  const server = createServer(
    app.get('/large', (_request, response) => void response.send(Buffer.alloc(64 * 1024 * 1024))),
  )
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

test('an answer of the service may wait for its client for 30 seconds', async () => {
  const { app, get, close } = await openApp()
  const limits: unknown[] = []
  app.http.on('request', ({ socket }, response) => {
    response.once('prefinish', () => limits.push(socket.timeout))
  })
  await get('/readyz')
  expect(limits).toEqual([30_000])
  await close()
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
