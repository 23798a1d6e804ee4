import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { openApp, type TestApp } from '../servers/app.js'
import { startStub, type Stub } from '../servers/stub.js'

describe('POST /usage_data/service_ping', () => {
  let destination: Stub
  let answer = (response: ServerResponse): unknown => response.end()
  let app: TestApp
  let clock = Date.parse('2026-11-23T09:00:00Z')
  beforeAll(async () => {
    destination = await startStub((_request, response) => answer(response))
    const url = destination.url.replace('//', '//user:secret@')
    app = await openApp({ TALLYMAN_PING_URL: `${url}/usage_data` }, () => new Date(clock))
  })
  afterAll(async () => {
    await app.close()
    await destination.stop()
  })
  const send = async (): Promise<Record<string, unknown>> => {
    const response = await app.post('/usage_data/service_ping')
    return { status: response.status, ...((await response.json()) as object) }
  }
  const last = async (): Promise<unknown> =>
    ((await (await app.get('/status')).json()) as { ping: { last: unknown } }).ping.last

  test('answers the ping as it is kept: sent, and when', async () => {
    const state = {
      recordedAt: '2026-11-23T09:00:00.000Z',
      sentAt: '2026-11-23T09:00:00.000Z',
      attempts: 1,
      nextAttemptAt: null,
      lastError: null,
    }
    expect(await send()).toMatchObject({ status: 200, sent: true, payload: { version: '0.1.0' }, ...state })
    expect(await last()).toEqual(state)
  })

  test('is 502 when the delivery failed, and says that it will be tried again', async () => {
    clock += 60 * 60_000
    answer = (response) => response.writeHead(503).end()
    expect(await send()).toEqual({
      status: 502,
      message:
        '502 Bad Gateway: the destination answered 503; the ping is stored, and the next attempt is at 2026-11-23T10:01:00.000Z',
    })
    expect(await last()).toMatchObject({ sentAt: null, attempts: 1, lastError: 'the destination answered 503' })
  })

  test('does not reveal the address of an unavailable destination', async () => {
    clock += 60 * 60_000
    answer = (response) => response.socket?.destroy()
    const { status, message } = await send()
    expect([status, message]).toEqual([
      502,
      expect.stringMatching(/^502 Bad Gateway: the destination cannot be reached/),
    ])
    expect(`${String(message)} ${app.log().join('')}`).not.toMatch(/127\.0\.0\.1|secret/)
  })
})
