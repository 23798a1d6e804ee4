import { connect } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { createLog } from '../../src/service/log.js'
import { freePort } from '../servers/process.js'

/** What the log writes, line by line. */
const logged = (write: (log: ReturnType<typeof createLog>) => void, level = 'info'): Record<string, unknown>[] => {
  const lines: string[] = []
  write(createLog(level, { write: (line: string) => void lines.push(line) }))
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>)
}
const loggedError = (error: unknown): unknown =>
  logged((log) => {
    log.error({ err: error }, 'a request failed')
  })[0]?.err

describe('the log', () => {
  test('is lines of JSON: when, how grave, and what, but not on which machine', () => {
    const lines = logged((log) => {
      log.debug('not of this level')
      log.warn({ status: 401 }, 'refused')
    })
    expect(lines).toEqual([
      { level: 'warn', time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/), status: 401, msg: 'refused' },
    ])
  })

  test('escapes what commands a terminal, and stays JSON that means the same', () => {
    const lines: string[] = []
    const name = '\u001b]0;pwn\u0007\u007f\u009b\u202e\u200b\u2028\u{e0041}\n'
    createLog('info', { write: (line: string) => void lines.push(line) }).info({ [name]: name }, name)
    expect(lines[0]).toMatch(/^[ -~]+\n$/)
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({ [name]: name, msg: name })
  })

  test.each([
    ['connect ECONNREFUSED 192.0.2.7:5432', 'connect ECONNREFUSED (address)'],
    ['no answer of 192.0.2.7, 192.0.2.8', 'no answer of (address), (address)'],
    ['connect ECONNREFUSED ::1:6379', 'connect ECONNREFUSED (address)'],
    ['connect ECONNREFUSED [2001:db8::7]:6379', 'connect ECONNREFUSED (address)'],
    ['lost 2001:db8:1:2:3:4:5:6 (fe80::1)', 'lost (address) ((address))'],
    ['::ffff:192.0.2.7 went away', '::ffff:(address) went away'],
    ['no pg_hba.conf entry for host "192.0.2.7"', 'no pg_hba.conf entry for host "(address)"'],
    ['PostgreSQL 15.18 at pglite.ts:69:37', 'PostgreSQL 15.18 at pglite.ts:69:37'],
  ])('of an error "%s" keeps "%s"', (message, expected) => {
    const error = loggedError(new Error(message)) as { message: string; stack: string }
    expect(error.message).toBe(expected)
    expect(error.stack.split('\n')[0]).toBe(`Error: ${expected}`)
    expect(error.stack).toMatch(/test\/service\/log\.test\.ts:\d+:\d+/)
  })

  test('keeps of an error what tells its cause, and nothing of what was sent', () => {
    const error = Object.assign(new Error('duplicate key'), {
      code: '23505',
      detail: 'Key (name)=(alice) already exists.',
      command: { name: 'pfadd', args: ['{hll_counters}_x', 'an-id'] },
      parameters: ['an-id'],
    })
    expect(loggedError(error)).toEqual({
      type: 'Error',
      message: 'duplicate key',
      code: '23505',
      stack: expect.stringMatching(/^Error: duplicate key\n/),
    })
  })

  test('has the errors that others were caused by, and those that one joins, a bounded number of them', () => {
    const causes = Array.from(
      { length: 9 },
      (_, i) => new Error(`${i} left out`, { cause: new Error('10.0.0.7 is full') }),
    )
    const { errors, ...joined } = loggedError(new AggregateError(causes, 'some failed')) as { errors: unknown[] }
    expect(joined).toMatchObject({ type: 'AggregateError', message: 'some failed' })
    expect(errors).toHaveLength(5)
    expect(errors[0]).toMatchObject({ message: '0 left out', cause: { message: '(address) is full' } })
    const circle = new Error('circle')
    circle.cause = circle
    expect(JSON.stringify(loggedError(circle)).length).toBeLessThan(20_000)
  })

  test('takes an error of a socket as one, and of what is no error only its type', async () => {
    const port = await freePort()
    const error = await new Promise((resolve) => connect(port, '127.0.0.1').once('error', resolve))
    expect(loggedError(error)).toMatchObject({ message: 'connect ECONNREFUSED (address)', code: 'ECONNREFUSED' })
    expect(loggedError('a secret')).toEqual({ type: 'string' })
  })
})
