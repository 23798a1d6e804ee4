import { expect, test } from '@jest/globals'
import pg from 'pg'
import { ConfigError, readConfig } from '../../src/config/config.js'
import { connectRedis } from '../../src/storage/sketches/redis-connection.js'
import { ROOT } from '../servers/service.js'
import { tallyman } from '../servers/tallyman.js'

const problemsOf = (environment: Record<string, string>): readonly string[] => {
  try {
    readConfig(environment, ROOT)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

/** URLs with a password, by their variables. */
const URLS: Record<string, (password: string) => string> = {
  DATABASE_URL: (password) => `postgres://tallyman:${password}@db.example:5432/tallyman`,
  REDIS_URL: (password) => `redis://:${password}@redis.example:6379/1`,
  TALLYMAN_PING_URL: (password) => `https://tallyman:${password}@pings.example/path`,
}
const CASES = Object.keys(URLS).flatMap((name) =>
  ['#', '/', '?'].flatMap((character) =>
    ['secret', '12'].map((before) => [name, `${before}${character}word`] as const),
  ),
)

test.each(CASES)(
  '%s with the password %s is refused by its name, with how to write it, and without the password',
  (name, password) => {
    const [problem, ...others] = problemsOf({ [name]: URLS[name]?.(password) ?? '' })
    expect(others).toEqual([])
    expect(problem).toMatch(new RegExp(`^${name}: .*write special characters percent-encoded: # as %23`))
    expect(problem).not.toMatch(/secret|hidden/)
  },
)

test.each(Object.keys(URLS))('%s with the same characters percent-encoded is taken', (name) => {
  expect(problemsOf({ [name]: URLS[name]?.(encodeURIComponent('#/?@%:é x')) ?? '' })).toEqual([])
})

test.each([
  ['DATABASE_URL', 'postgres://u:secret@host:99999/db', /expected postgres:.*a port is at most 65535/],
  ['DATABASE_URL', 'postgres://u:secret@host:port/db', /a port is at most 65535/],
  ['DATABASE_URL', 'postgres://u:secret@host/db?port=99999', /its port is not a number up to 65535/],
  ['DATABASE_URL', 'postgres://u:secret%ff@host/db', /not percent-encoded/],
  ['DATABASE_URL', 'postgres://u:secret@one:1,two:2/db', /expected postgres:/],
  ['REDIS_URL', 'redis://:secret@host:99999', /a host is not valid.*percent-encoded/],
  ['REDIS_URL', 'rediss-sentinel://:secret@host:99999/main', /a host is not valid/],
  ['REDIS_URL', 'redis://:secret%ff@host', /not percent-encoded/],
  ['TALLYMAN_PING_URL', 'https://u:secret@host:99999', /expected an address like https:.*percent-encoded/],
  ['TALLYMAN_PING_URL', 'https://u:secret%ff@host', /not percent-encoded/],
  ['TALLYMAN_GITLAB_URL', 'https://gitlab.example:99999', /expected an address like https:/],
  ['TALLYMAN_GITLAB_URL', 'https://u:secret@gitlab.example', /without user, password/],
  ['TALLYMAN_REGISTRIES', '{"r.example": {"url": "https://r.example:99999"}}', /r\.example: url is an address like/],
  [
    'TALLYMAN_REGISTRIES',
    '{"r.example": {"url": "https://u:secret#1@r.example"}}',
    /r\.example: url is an address like/,
  ],
])('%s=%s is refused with what is expected, without a word of it', (name, url, expected) => {
  const problems = problemsOf({ [name]: url })
  expect(problems).toEqual([expect.stringMatching(expected)])
  expect(problems[0]).toMatch(new RegExp(`^${name}: `))
  expect(problems[0]).not.toContain('secret')
})

test.each([
  'postgres://host/db',
  'postgresql://user:p@ss@host:5432/db',
  'postgres://user:p%zz@host/db',
  'postgres://user:p w@host/db',
  'postgres://%2Fvar%2Frun%2Fpostgresql/db',
  'postgres:///db?host=/var/run/postgresql&user=a@b&password=x/y@z',
  'postgres://user@/db?host=/var/run/postgresql&port=5433',
  'postgres://user:p@[::1]:5432/db?sslmode=no-verify&options=-csearch_path%3Dregstat',
])('the driver of PostgreSQL takes %s, and so does the configuration', (url) => {
  expect(() => new pg.Client({ connectionString: url })).not.toThrow()
  expect(problemsOf({ DATABASE_URL: url })).toEqual([])
})

test('all problems of URLs are reported together, by a command as well', async () => {
  const { code, err } = await tallyman(
    {
      DATABASE_URL: 'postgres://u:se#cret@host/db',
      REDIS_URL: 'redis://:se#cret@host',
      TALLYMAN_PING_URL: 'https://u:se#cret@host',
    },
    'status',
  )
  expect(code).toBe(1)
  for (const name of ['DATABASE_URL', 'REDIS_URL', 'TALLYMAN_PING_URL']) expect(err).toContain(`  ${name}: `)
  expect(err).not.toMatch(/cret@|TypeError/)
})

test('what the configuration takes for Redis, its driver takes', () => {
  const client = connectRedis(`redis://:${encodeURIComponent('#/?@%')}@127.0.0.1:1/1`)
  expect((client.options as { password?: string }).password).toBe('#/?@%')
  client.disconnect()
})
