import { Agent, request } from 'node:http'
import fc from 'fast-check'

/** A request as it goes over the wire: the target and the body are sent as they stand. */
export type RawRequest = { method: string; target: string; headers: Record<string, string>; body?: string | Buffer }

export type RawAnswer = { status: number; headers: Record<string, unknown>; body: string }

/** Sends requests over connections that stay open, so that a million of them need no million ports. */
export const createSender = (url: string): { send: (raw: RawRequest) => Promise<RawAnswer>; close: () => void } => {
  const agent = new Agent({ keepAlive: true, maxSockets: 8 })
  const { hostname, port } = new URL(url)
  const send = async ({ method, target, headers, body }: RawRequest, isRetry = false): Promise<RawAnswer> =>
    new Promise((resolve, reject) => {
      const connection = isRetry ? { agent: false as const } : { agent }
      // Node.js sends the body of a DELETE without its length, and the server would read it as the next request.
      const isFramed = body === undefined || 'transfer-encoding' in headers
      const framed = isFramed ? headers : { ...headers, 'content-length': Buffer.byteLength(body) }
      const sending = request({ ...connection, hostname, port, method, path: target, headers: framed }, (response) => {
        const chunks: Buffer[] = []
        response.on('data', (chunk: Buffer) => chunks.push(chunk))
        response.on('error', reject)
        response.on('end', () => {
          const answer = { status: response.statusCode ?? 0, headers: response.headers }
          resolve({ ...answer, body: Buffer.concat(chunks).toString() })
        })
      })
      sending.on('error', (error) => {
        // The server may close an idle connection at the moment at which it is used again.
        if (sending.reusedSocket && !isRetry)
          send({ method, target, headers, ...(body !== undefined && { body }) }, true).then(resolve, reject)
        else if (body !== undefined && isReset(error))
          sendHead({ method, target, headers }, error).then(resolve, reject)
        else reject(error)
      })
      sending.end(body)
    })
  /**
   * Node.js closes a connection at once whose target it cannot parse. If a part of the body is still on its way, the system resets the
   * connection, and the answer is lost. Then the answer to the same head without the body must be Node.js's own 400.
   */
  const sendHead = async (raw: RawRequest, error: Error): Promise<RawAnswer> => {
    const answer = await send({ ...raw, body: '' }, true)
    if (answer.status !== 400 || answer.body !== '' || answer.headers.connection !== 'close') throw error
    return answer
  }
  return {
    send: async (raw) => send(raw),
    close: () => {
      agent.destroy()
    },
  }
}

const isReset = (error: NodeJS.ErrnoException): boolean => error.code === 'ECONNRESET' || error.code === 'EPIPE'

/** Texts at the edges of what parsers, calendars, databases and other libraries take. */
const EDGES = [
  '',
  ' ',
  '0',
  '-1',
  '1e9',
  '1e400',
  'NaN',
  'Infinity',
  '0x10',
  '2147483648',
  '9007199254740993',
  '9'.repeat(400),
  'a\0b',
  'a\ud800b',
  '\ufffd',
  'x'.repeat(300),
  'x'.repeat(3_000),
  '0000-01-01',
  '0001-01-01',
  '1969-12-31',
  '2024-02-30',
  '9999-12-31',
  '10000-01-01',
  '+010000-01-01',
  '2999-12-31',
  '9999-12-31T23:59:59-23:59',
  '2026-11-21T10:00:00+20:00',
  `2026-11-21T10:00:00.${'1'.repeat(200)}Z`,
  '0000',
  '9999',
  '2026-W54',
  '9999-W53',
  '9999-q4',
  '99999d',
  '999999999y',
  'last-1200-years',
  'last-1200-months',
  'every monday of 9999',
  '-infinity',
  'epoch',
  'US/Pacific-New',
  'IST',
  'PST',
  'SystemV/PST8PDT',
  'Etc/GMT+12',
  '+05:30',
  'UTC',
  'Asia/Kolkata',
  '*',
  '\\',
  '%',
  "'",
  '"',
  '$1',
  '(',
  '[',
  '(a+)+$',
  '{}',
  '[]',
  'null',
  '__proto__',
  'constructor',
  'toString',
  '../../etc/passwd',
  'sha256:',
  'sha256:' + 'a'.repeat(64),
  'sha256:0123456789ab',
  'team/app',
  'registry.example',
  'previous',
  'last-7-days',
  '2026-11',
  '90d',
  'csv',
  'true',
]

const CURSORS = fc
  .array(fc.oneof(fc.constantFrom<unknown>(...EDGES), fc.double(), fc.integer(), fc.constant(null)), { maxLength: 4 })
  .map((key) => Buffer.from(JSON.stringify(key)).toString('base64url'))

/** A text that a client might send as a value. */
export const hostileText = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom(...EDGES) },
  { weight: 2, arbitrary: fc.string({ unit: 'binary', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...EDGES), fc.constantFrom(...EDGES)).map((two) => two.join(',')) },
  { weight: 1, arbitrary: CURSORS },
)

/** A text as it may stand in a URL: lone surrogates as the bytes that WTF-8 has for them, and some escapes that are none. */
export const escaped = (text: string): string =>
  text.replace(/[^]/gu, (one) => {
    const code = one.codePointAt(0) ?? 0
    if (code >= 0xd800 && code <= 0xdfff)
      return `%ED%${(0x80 | ((code >> 6) & 0x3f)).toString(16)}%${(0x80 | (code & 0x3f)).toString(16)}`
    return encodeURIComponent(one)
  })
