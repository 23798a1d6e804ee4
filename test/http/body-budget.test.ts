import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { resolveByHost } from '../../src/registries/registry-identity.js'
import fc from 'fast-check'
import { createBodyBudget, type BodyShare } from '../../src/http/body-budget.js'
import { createNotificationHandler } from '../../src/http/notifications.js'
import { NO_LOSSES } from '../../src/storage/sql/losses.js'
import { distribution } from '../../src/sources/distribution/sender.js'
import type { ItemOutcome } from '../../src/ingest/item.js'
import { runs } from '../servers/runs.js'

const MEBIBYTE = 1024 * 1024
const LARGEST = 16 * MEBIBYTE
/** Of all bodies at once: 48 MiB, 16 MiB more for small ones, and 8 MiB of senders that have little there. */
const BOUND = 72 * MEBIBYTE

describe('the budget of bodies', () => {
  test('is never exceeded, and whoever is refused gives everything back', () => {
    const step = fc.record({ body: fc.nat(49), bytes: fc.integer({ min: 1, max: 4 * MEBIBYTE }), ends: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
        const budget = createBodyBudget(LARGEST)
        const shares = new Map<number, { share: BodyShare; size: number }>()
        for (const { body, bytes, ends } of steps) {
          const one = shares.get(body) ?? { share: budget.open(body % 3), size: 0 }
          shares.set(body, one)
          if (one.share.add(bytes)) one.size += bytes
          else shares.delete(body)
          if (ends) {
            one.share.release()
            shares.delete(body)
          }
          expect(budget.taken()).toBe([...shares.values()].reduce((sum, { size }) => sum + size, 0))
          expect(budget.taken()).toBeLessThanOrEqual(BOUND)
        }
      }),
      runs(100),
    )
  })

  test.each([LARGEST, 128 * MEBIBYTE])(
    'takes one body of the largest size, %d bytes, when nothing else is there',
    (largest) => {
      const budget = createBodyBudget(largest)
      for (let again = 0; again < 3; again++) {
        const share = budget.open(0)
        for (let sent = 0; sent < largest; sent += MEBIBYTE) expect(share.add(MEBIBYTE)).toBe(true)
        share.release()
      }
      expect(budget.taken()).toBe(0)
    },
  )

  test('has room for small bodies beside large ones', () => {
    const budget = createBodyBudget(LARGEST)
    for (let i = 0; i < 3; i++) expect(budget.open(0).add(LARGEST)).toBe(true)
    expect(budget.open(0).add(LARGEST)).toBe(false)
    expect(budget.open(0).add(1_000)).toBe(true)
  })

  test('has room for small bodies of others beside any number of small ones of one sender', () => {
    const budget = createBodyBudget(LARGEST)
    const small = MEBIBYTE / 2
    let taken = 0
    while (budget.open(0).add(small)) taken += small
    expect(taken).toBe(64 * MEBIBYTE)
    expect(budget.open(1).add(small)).toBe(true)
    expect(budget.open(1).add(small)).toBe(false)
    expect(budget.open(2).add(small)).toBe(true)
  })
})

describe('fifty connections that send 16 MiB at once', () => {
  test.each(['announced', 'chunked'])(
    'stay within the budget and are answered 200 or 503, their length %s',
    async (how) => {
      const budget = createBodyBudget(LARGEST)
      let most = 0
      const waiting: (() => void)[] = []
      const handle = createNotificationHandler({
        // Whatever is taken waits to be stored until all have been answered or taken.
        ingest: async (events) => {
          await new Promise<void>((resolve) => waiting.push(resolve))
          return events.map((): ItemOutcome => 'recorded')
        },
        findToken: () => ({ token: 0 }),
        authorizeApi: () => 'wrong',
        resolve: (events) => resolveByHost(events, (host) => host),
        losses: NO_LOSSES,
        largestBody: LARGEST,
        observer: { stored: () => undefined, refused: () => undefined },
        now: () => new Date('2026-11-21T12:00:00Z'),
        budget: {
          ...budget,
          open: (token) => {
            const share = budget.open(token)
            return {
              ...share,
              add: (bytes) => {
                const fits = share.add(bytes)
                most = Math.max(most, budget.taken())
                return fits
              },
            }
          },
        },
      })
      const server = createServer((request, response) => {
        handle(request, response, distribution)
      }).listen(0, '127.0.0.1')
      await once(server, 'listening')
      const { port } = server.address() as AddressInfo
      const body = Buffer.alloc(LARGEST, ' ')
      body.write('{"events":[]}')
      const head = how === 'announced' ? `Content-Length: ${LARGEST}` : 'Transfer-Encoding: chunked'
      const parts =
        how === 'announced' ? [body] : [Buffer.from(`${LARGEST.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]

      const send = async (): Promise<string> => {
        const socket = connect(port, '127.0.0.1')
        let seen = ''
        socket.on('data', (chunk) => (seen += chunk.toString()))
        socket.on('error', () => undefined)
        socket.write(`POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${head}\r\n\r\n`)
        for (const part of parts) socket.write(part)
        await new Promise((resolve) => socket.once('close', resolve))
        return seen
      }
      let answers = 0
      const sending = Array.from({ length: 50 }, async () => send().finally(() => answers++))
      while (answers + waiting.length < 50) await new Promise((resolve) => setTimeout(resolve, 10))
      const taken = waiting.length
      for (const resolve of waiting) resolve()
      const all = await Promise.all(sending)

      expect(most).toBeLessThanOrEqual(BOUND)
      expect(taken).toBeGreaterThanOrEqual(1)
      expect(all.filter((answer) => answer.startsWith('HTTP/1.1 200'))).toHaveLength(taken)
      // A connection that is cut while it sends may lose its answer, so the client may not see that the body is too large.
      expect(all.some((answer) => answer.startsWith('HTTP/1.1 413'))).toBe(false)
      expect(budget.taken()).toBe(0)
      server.close()
    },
    120_000,
  )
})
