import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { describe, expect, test } from '@jest/globals'
import { isStorageUnavailable } from '../../src/storage/unavailable.js'
import { connectRedis } from '../../src/storage/sketches/redis-connection.js'
import { startRedis } from '../servers/redis.js'

const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

test('a missing socket is an unavailable store; a missing file is not', async () => {
  const connecting = new Promise((resolve, reject) => {
    connect('/nowhere/.s.PGSQL.5432').once('connect', resolve).once('error', reject)
  })
  const [socket, file] = await Promise.all([failureOf(connecting), failureOf(readFile('/nowhere/key.pem'))])
  expect([socket, file]).toMatchObject([{ code: 'ENOENT' }, { code: 'ENOENT' }])
  expect([isStorageUnavailable(socket), isStorageUnavailable(file)]).toEqual([true, false])
})

test.each(['EMFILE', 'ENFILE', 'EADDRNOTAVAIL', 'EPERM'])(
  'a connection that fails with %s is an unavailable store; a file or a server of ours that fails with it is not',
  (code) => {
    const failure = (syscall: string): Error => Object.assign(new Error(`${syscall} ${code}`), { code, syscall })
    expect(['connect', 'getaddrinfo'].map((syscall) => isStorageUnavailable(failure(syscall)))).toEqual([true, true])
    expect(['open', 'listen'].map((syscall) => isStorageUnavailable(failure(syscall)))).toEqual([false, false])
  },
)

test('a connection that has no memory for what is sent is an unavailable store', () => {
  const failure = Object.assign(new Error('write ENOBUFS'), { code: 'ENOBUFS', syscall: 'write' })
  expect(isStorageUnavailable(failure)).toBe(true)
})

test('a refusal of PostgreSQL is none, whatever text it quotes', () => {
  const refusal = (code: string): Error =>
    Object.assign(new Error('invalid input syntax for type uuid: "LOADING Connection is closed "'), { code })
  expect(['22P02', '23505', '54000', '08006', '57P01'].map((code) => isStorageUnavailable(refusal(code)))).toEqual([
    false,
    false,
    false,
    true,
    true,
  ])
  expect(isStorageUnavailable(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))).toBe(true)
})

test('a Redis that is full, or wants a password, is an unavailable store; an invalid command is not', async () => {
  const redis = await startRedis()
  const client = connectRedis(redis.url)
  await client.set('text', 'x')
  const wrongType = await failureOf(client.lpush('text', 'y'))
  await client.config('SET', 'maxmemory', '1')
  const full = await failureOf(client.pfadd('sketch', 'alice'))
  await client.config('SET', 'maxmemory', '0')
  await client.acl('SETUSER', 'default', '-pfadd')
  const forbidden = await failureOf(client.pfadd('sketch', 'alice'))
  await client.config('SET', 'requirepass', 'secret')
  const stranger = connectRedis(redis.url)
  const locked = await failureOf(stranger.pfadd('sketch', 'alice'))
  stranger.disconnect()
  client.disconnect()
  await redis.stop()
  const failures = [wrongType, full, forbidden, locked]
  expect(failures.map((failure) => (failure as Error).message.split(' ')[0])).toEqual([
    'WRONGTYPE',
    'OOM',
    'NOPERM',
    'NOAUTH',
  ])
  expect(failures.map(isStorageUnavailable)).toEqual([false, true, true, true])
})

describe('an error that an unavailable store caused', () => {
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' })
  const ended = Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' })
  const deep = (error: Error, levels: number): Error =>
    levels === 0 ? error : deep(new Error('it broke off', { cause: error }), levels - 1)

  test.each([refused, ended, new Error('Connection terminated unexpectedly')])('is one, as with %s', (error) => {
    expect(isStorageUnavailable(new Error('it broke off', { cause: error }))).toBe(true)
    expect(isStorageUnavailable(new AggregateError([new Error('404'), error], 'two failed'))).toBe(true)
    expect(isStorageUnavailable(new AggregateError([new Error('404'), deep(error, 3)], 'two failed'))).toBe(true)
  })

  test('is none if there is only a failure of something else, whatever its text', () => {
    class RegistryError extends Error {}
    const quoting = new RegistryError('registry.example answered 503: READONLY mode, Connection terminated')
    expect(isStorageUnavailable(quoting)).toBe(false)
    expect(isStorageUnavailable(new AggregateError([quoting, 'text', undefined], 'not reconciled'))).toBe(false)
  })

  test('is looked at as deep as errors are, also in a circle and among very many', () => {
    const circle = new Error('round')
    circle.cause = new AggregateError([circle, new Error('and round', { cause: circle })])
    expect(isStorageUnavailable(circle)).toBe(false)
    expect(isStorageUnavailable(deep(refused, 100))).toBe(false)
    const many = Array.from({ length: 10_000 }, () => new AggregateError([circle, circle]))
    expect(isStorageUnavailable(new AggregateError(many))).toBe(false)
  })
})
