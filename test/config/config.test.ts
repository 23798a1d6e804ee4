import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { ConfigError, readConfig } from '../../src/config/config.js'
import { RegistriesError } from '../../src/registries/read-registries.js'
import { temporaryFolder } from '../servers/process.js'
import { ROOT } from '../servers/service.js'

const folder = temporaryFolder('config')
afterAll(() => {
  folder.remove()
})
const file = (text: string, name = 'tallyman.yml'): string => {
  const path = join(folder.path, name)
  writeFileSync(path, text)
  return path
}
const problemsOf = (environment: Record<string, string>): readonly string[] => {
  try {
    readConfig(environment, ROOT)
    return []
  } catch (error) {
    return (error as ConfigError).problems
  }
}

describe('the configuration', () => {
  test('has sensible defaults', () => {
    expect(readConfig({}, ROOT)).toMatchObject({
      listen: { host: '127.0.0.1', port: 3000 },
      data_dir: join(process.cwd(), 'data'),
      user_directory: 'hash',
      rules_file: join(ROOT, 'definitions/events/registry.yml'),
      metrics_dir: join(ROOT, 'metrics'),
      lifetimes: { weekly: 42 * 86_400, monthly: 400 * 86_400 },
      ping_enabled: true,
      notification_tokens: [],
    })
  })

  test('comes from a file, and the environment wins', () => {
    const path = file(
      'listen: 0.0.0.0:8080\nnotification_tokens: [a, 17]\nping_enabled: false\nweekly_lifetime_days: 50\n',
    )
    expect(readConfig({ TALLYMAN_CONFIG: path, TALLYMAN_LISTEN: ':9000' }, ROOT)).toMatchObject({
      listen: { host: '127.0.0.1', port: 9000 },
      notification_tokens: [{ token: 'a' }, { token: '17' }],
      ping_enabled: false,
      lifetimes: { weekly: 50 * 86_400 },
    })
  })

  test.each([
    ['[::1]:3000', { host: '::1', port: 3000 }],
    ['tallyman.internal:80', { host: 'tallyman.internal', port: 80 }],
    ['8080', { host: '127.0.0.1', port: 8080 }],
  ])('listens on %s', (listen, expected) => {
    expect(readConfig({ TALLYMAN_LISTEN: listen }, ROOT).listen).toEqual(expected)
  })

  test('a value in the file is meant as it is written: a port, a key of digits; nothing is none', () => {
    const path = file('listen: 3000\nhostname: 0815\nusers_key: 1234567890123456789012\nredis_url:\nping_url: ~\n')
    const config = readConfig({ TALLYMAN_CONFIG: path }, ROOT)
    expect(config).toMatchObject({
      listen: { host: '127.0.0.1', port: 3000 },
      hostname: '0815',
      users_key: '1234567890123456789012',
    })
    expect([config.redis_url, config.ping_url]).toEqual([undefined, undefined])
  })

  test.each([
    ['true', true],
    ['Yes', true],
    ['on', true],
    ['1', true],
    ['false', false],
    ['no', false],
    ['OFF', false],
    ['0', false],
  ])('%s is a boolean', (text, expected) => {
    expect(readConfig({ TALLYMAN_SQL_ROUTE: text }, ROOT).sql_route).toBe(expected)
  })

  test('a number beyond all use is refused, with the largest that is taken', () => {
    const environment = {
      TALLYMAN_WEEKLY_LIFETIME_DAYS: '1000000000000',
      TALLYMAN_LARGEST_BODY_BYTES: '1000000000000',
    }
    expect(problemsOf(environment)).toEqual([
      'TALLYMAN_WEEKLY_LIFETIME_DAYS: expected a whole number from 1 to 36500',
      'TALLYMAN_LARGEST_BODY_BYTES: expected a whole number from 1024 to 134217728',
    ])
  })

  test('a users file chooses the directory; tokens are a list; an empty variable is none', () => {
    const environment = {
      TALLYMAN_USERS_FILE: '/dev/null',
      TALLYMAN_API_TOKENS: 'first-token, second-token,,third-token',
      REDIS_URL: '',
    }
    expect(readConfig(environment, ROOT)).toMatchObject({
      user_directory: 'file',
      api_tokens: ['first-token', 'second-token', 'third-token'].map((token) => ({ token, scope: 'admin' })),
    })
    expect(readConfig(environment, ROOT).redis_url).toBeUndefined()
  })

  const apiTokens = (value: string): unknown => readConfig({ TALLYMAN_API_TOKENS: value }, ROOT).api_tokens

  test.each([
    [
      '{"metrics": "token-a1", "read": ["token-b2", "token-c3"]}',
      { 'token-a1': 'metrics', 'token-b2': 'read', 'token-c3': 'read' },
    ],
    ['{"admin": "token-a1"}', { 'token-a1': 'admin' }],
    ['metrics:a,read:token', { 'metrics:a': 'admin', 'read:token': 'admin' }],
    ['{token-a},token-b}', { '{token-a}': 'admin', 'token-b}': 'admin' }],
    ['with a space', { 'with a space': 'admin' }],
  ])('API tokens %s', (value, expected) => {
    expect(apiTokens(value)).toEqual(Object.entries(expected).map(([token, scope]) => ({ token, scope })))
  })

  test('API tokens with scopes stand in the file as a map', () => {
    const path = file('api_tokens:\n  metrics: token-a1\n  read: [token-b2, 17171717]\n')
    expect(readConfig({ TALLYMAN_CONFIG: path }, ROOT).api_tokens).toEqual([
      { token: 'token-a1', scope: 'metrics' },
      { token: 'token-b2', scope: 'read' },
      { token: '17171717', scope: 'read' },
    ])
  })

  test.each([
    ['API_TOKENS', '{"write": "a"}', 'a name in the map is not a scope, expected metrics, read, admin'],
    ['API_TOKENS', '{"read": []}', 'read has no token'],
    ['API_TOKENS', '{"read": "token-a1", "metrics": "token-a1"}', 'read and metrics have the same token'],
    [
      'API_TOKENS',
      '{"read": "a"',
      'begins with {" but is not JSON; expected, for example, {"metrics": "tm…", "read": ["tm…", "tm…"]}',
    ],
    [
      'API_TOKENS',
      '{"read": {"a": 1}}',
      'expected tokens, or a map of scopes (metrics, read, admin), each to its token',
    ],
  ])('%s %j is refused with a sentence that quotes no token', (setting, value, problem) => {
    expect(problemsOf({ [`TALLYMAN_${setting}`]: value })).toEqual([`TALLYMAN_${setting}: ${problem}`])
  })

  test('a secret may come from a file, as containers pass it', () => {
    mkdirSync(join(folder.path, 'secrets'))
    writeFileSync(join(folder.path, 'secrets', 'database'), 'postgres://u:p@h/d\n')
    expect(readConfig({ DATABASE_URL_FILE: join(folder.path, 'secrets', 'database') }, ROOT).database_url).toBe(
      'postgres://u:p@h/d',
    )
    expect(problemsOf({ DATABASE_URL_FILE: '/nowhere' })).toEqual([
      'DATABASE_URL_FILE: /nowhere cannot be read: there is no such file or directory; check the path (ENOENT)',
    ])
    expect(problemsOf({ DATABASE_URL_FILE: '/dev/zero' })).toEqual([
      expect.stringContaining('DATABASE_URL_FILE: /dev/zero'),
    ])
  })

  test('all errors are reported together, each with its key and its source', () => {
    const path = file('listn: 3000\nlog_level: loud\nping_cron: sometimes\n')
    expect(
      [
        ...problemsOf({
          TALLYMAN_CONFIG: path,
          TALLYMAN_LISTEN: '127.0.0.1',
          DATABASE_URL: 'mysql://x',
          REDIS_URL: 'http://x',
          TALLYMAN_PING_URL: 'ftp://x',
          TALLYMAN_PING_TIME_ZONE: 'Mars/Olympus',
          TALLYMAN_WEEKLY_LIFETIME_DAYS: 'many',
          TALLYMAN_METRICS_PUBLIC: 'perhaps',
          TALLYMAN_USERS_KEY: 'short',
        }),
      ].sort(),
    ).toEqual([
      'DATABASE_URL: expected postgres://user:password@host:5432/database',
      'REDIS_URL: expected redis://host:6379, rediss://…, redis-cluster://host:port,host:port or redis-sentinel://host:port/master',
      'TALLYMAN_LISTEN: expected host:port, for example 127.0.0.1:3000',
      'TALLYMAN_METRICS_PUBLIC: expected true or false',
      'TALLYMAN_PING_TIME_ZONE: expected an IANA time zone, for example Europe/Berlin',
      'TALLYMAN_PING_URL: expected an address like https://host/path',
      'TALLYMAN_USERS_KEY: expected at least 16 characters',
      'TALLYMAN_WEEKLY_LIFETIME_DAYS: expected a whole number from 1 to 36500',
      `listn (in ${path}): is not a setting; did you mean listen?`,
      `log_level (in ${path}): expected trace, debug, info, warn, error, silent`,
      `ping_cron (in ${path}): expected a cron expression, for example "44 10 * * 4"`,
    ])
  })

  test('missing files and settings are reported together with invalid values', () => {
    const path = file('user_directory: gitlab\nevent_rules: poems\ngitlab_url: nonsense\n')
    expect(
      [
        ...problemsOf({
          TALLYMAN_CONFIG: path,
          TALLYMAN_LISTEN: 'h:70000',
          TALLYMAN_PING_URL: 'ftp://x',
          TALLYMAN_USER_TOKEN_KEY: '/nowhere.pem',
        }),
      ].sort(),
    ).toEqual([
      'TALLYMAN_GITLAB_TOKEN: is missing, and the user directory "gitlab" needs it',
      'TALLYMAN_LISTEN: 70000 is not a port, expected at most 65535',
      'TALLYMAN_PING_URL: expected an address like https://host/path',
      'TALLYMAN_USER_TOKEN_KEY: /nowhere.pem cannot be read: there is no such file or directory; check the path (ENOENT), expected the path of a key or certificate in PEM form',
      expect.stringMatching(/^event_rules \(in .*\): .*poems\.yml does not exist/),
      `gitlab_url (in ${path}): expected an address like https://host/path`,
    ])
  })

  test('the key of user tokens is read from its file', () => {
    const { publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey
    const path = join(folder.path, 'key.pem')
    writeFileSync(path, publicKey.export({ type: 'spki', format: 'pem' }))
    expect(readConfig({ TALLYMAN_USER_TOKEN_KEY: path }, ROOT).user_token_key?.asymmetricKeyType).toBe('rsa')
    writeFileSync(path, short.export({ type: 'spki', format: 'pem' }))
    expect(problemsOf({ TALLYMAN_USER_TOKEN_KEY: path })).toEqual([
      `TALLYMAN_USER_TOKEN_KEY: ${path}: its RSA key has fewer than 2048 bits`,
    ])
    expect(problemsOf({ TALLYMAN_USER_TOKEN_KEY: file('nothing') })).toEqual([
      expect.stringMatching(/^TALLYMAN_USER_TOKEN_KEY: .*: it contains no key or certificate in PEM form$/),
    ])
    expect(problemsOf({ TALLYMAN_USER_TOKEN_KEY: folder.path })).toEqual([expect.stringMatching(/cannot be read/)])
  })

  test.each([
    ['redis-sentinel://:secret@host:26379', /^REDIS_URL: after the sentinels comes the name of the master: /],
    ['redis-cluster://:secret@host:one,host:2', /^REDIS_URL: a host is not valid, expected host:port/],
    ['redis-sentinel://:secret%x@host:26379/main', /^REDIS_URL: it is not percent-encoded/],
    ['redis://:secret@host:port', /^REDIS_URL: a host is not valid/],
    ['redis://:secret@one,two', /^REDIS_URL: expected redis:\/\/host:6379/],
    ['redis://host:6379/secret', /^REDIS_URL: its database is not a number/],
    ['rediss-sentinel://host/main?db=secret', /^REDIS_URL: its database is not a number/],
  ])('%s is reported without being quoted', (url, problem) => {
    expect(problemsOf({ REDIS_URL: url })).toEqual([expect.stringMatching(problem)])
    expect(problemsOf({ REDIS_URL: url })[0]).not.toContain('secret')
  })

  test.each([
    'redis://host',
    'rediss://user:pa%40ss@[::1]:6380/15?family=6',
    'redis-cluster://user:p@one:7000,two:7001',
    'rediss-sentinel://:p@one:26379,two/main?db=1',
  ])('%s is where a Redis may be', (url) => {
    expect(problemsOf({ REDIS_URL: url })).toEqual([])
  })

  test.each([
    [{ TALLYMAN_CONFIG: '/nowhere.yml' }, ['/nowhere.yml (from --config or TALLYMAN_CONFIG): there is no such file']],
    [
      { TALLYMAN_USER_DIRECTORY: 'gitlab' },
      [
        'TALLYMAN_GITLAB_URL: is missing, and the user directory "gitlab" needs it',
        'TALLYMAN_GITLAB_TOKEN: is missing, and the user directory "gitlab" needs it',
      ],
    ],
    [{ TALLYMAN_USER_DIRECTORY: 'file' }, ['TALLYMAN_USERS_FILE: is missing, and the user directory "file" needs it']],
    [{ TALLYMAN_LISTEN: 'h:70000' }, ['TALLYMAN_LISTEN: 70000 is not a port, expected at most 65535']],
    [{ TALLYMAN_EVENT_RULES: 'poems' }, [expect.stringMatching(/TALLYMAN_EVENT_RULES: .*poems\.yml does not exist/)]],
  ])('%j is reported', (environment, expected) => {
    expect(problemsOf(environment as Record<string, string>)).toEqual(expected)
  })

  test('an empty TALLYMAN_CONFIG is the same as none', () => {
    const from = process.cwd()
    process.chdir(folder.path)
    try {
      rmSync('tallyman.yml', { force: true })
      expect(problemsOf({ TALLYMAN_CONFIG: '' })).toEqual([])
      file('listen: 127.0.0.1:4000')
      expect(readConfig({ TALLYMAN_CONFIG: '' }, ROOT).listen.port).toBe(4000)
    } finally {
      process.chdir(from)
    }
  })

  test('files that cannot be read are reported with all other errors, each with its key or variable', () => {
    const keys = ['country_file', 'network_file', 'clients_file', 'metrics_dir', 'docker_config', 'users_file']
    const own = file(['event_rules: nope', ...keys.map((key) => `${key}: /nope/${key}`)].join('\n'))
    const problems = problemsOf({ TALLYMAN_CONFIG: own, TALLYMAN_NETWORK_FILE: folder.path, TALLYMAN_METRICS_DIR: own })
    expect([...problems].sort()).toEqual([
      `TALLYMAN_METRICS_DIR: ${own} cannot be read: it is a file, expected a directory (ENOTDIR)`,
      `TALLYMAN_NETWORK_FILE: ${folder.path} cannot be read: it is a directory, expected a file (EISDIR)`,
      ...['clients_file', 'country_file', 'docker_config'].map((key) =>
        expect.stringMatching(new RegExp(`^${key} \\(in .*\\): /nope/${key} cannot be read: there is no such file`)),
      ),
      expect.stringMatching(/^event_rules \(in .*\): .*nope\.yml does not exist/),
      expect.stringMatching(/^users_file \(in .*\): \/nope\/users_file cannot be read: there is no such file/),
    ])
  })

  test('an error of the file of registries names the key of the file', () => {
    expect(problemsOf({ TALLYMAN_CONFIG: file('registries_file: /nope.yml\ncountry_file: /nope.mmdb') })).toEqual([
      expect.stringMatching(/^country_file \(in .*\): \/nope\.mmdb cannot be read/),
      expect.stringMatching(/^registries_file \(in .*\): \/nope\.yml: there is no such file$/),
    ])
    const apart = file('a.example: {url: nonsense}', 'registries.yml')
    expect(problemsOf({ TALLYMAN_REGISTRIES_FILE: apart })).toEqual([
      expect.stringMatching(/^TALLYMAN_REGISTRIES_FILE: a\.example/),
    ])
  })

  test('a file that is no map is reported', () => {
    expect(problemsOf({ TALLYMAN_CONFIG: file('- listen') })[0]).toMatch(/expected keys and values/)
  })

  test.each([
    ['listen: [', 'line 1, column 10'],
    ['listen: 3000\n\tdata_dir: secret\n', 'line 2, column 1'],
    ['listen: 3000\nlisten: secret\n', 'line 2, column 1'],
  ])('a file that is not YAML (%j) is named with line and column, and not quoted', (text, where) => {
    const path = file(text)
    const [problem = ''] = problemsOf({ TALLYMAN_CONFIG: path })
    expect(problem).toContain(`${path} (from --config or TALLYMAN_CONFIG): not YAML at ${where}`)
    expect(problem).not.toContain('secret')
    expect(problemsOf({ TALLYMAN_REGISTRIES_FILE: path })[0]).toContain(`${path}: not YAML at ${where}`)
  })

  test('names registries in itself, in a variable and in a file of their own', () => {
    const own = file('registries:\n  a.example: [10.0.0.5]\n  b.example: {url: https://b.example, aliases: [b]}\n')
    const apart = file('{"c.example": ["c:5000"]}', 'registries.json')
    const config = readConfig({ TALLYMAN_CONFIG: own, TALLYMAN_REGISTRIES_FILE: apart }, ROOT)
    expect(config.readRegistries().map(({ name, aliases }) => [name, aliases])).toEqual([
      ['a.example', ['10.0.0.5']],
      ['b.example', ['b']],
      ['c.example', ['c:5000']],
    ])
    expect(config.registriesFiles()).toEqual([own, apart])
    const inline = readConfig({ TALLYMAN_REGISTRIES: '{"d.example": ["d"]}' }, ROOT)
    expect(inline.readRegistries()).toEqual([{ name: 'd.example', aliases: ['d'] }])
  })

  test('reports errors in registries', () => {
    const own = file('registries:\n  a.example: [x]\n')
    expect(
      problemsOf({ TALLYMAN_CONFIG: own, TALLYMAN_REGISTRIES_FILE: file('b.example: [x]', 'registries.yml') }),
    ).toEqual([expect.stringMatching(/^registries \(in .*\): x: is an alias of a.example and an alias of b.example$/)])
    expect(problemsOf({ TALLYMAN_REGISTRIES_FILE: '/nowhere.json' })).toEqual([
      'TALLYMAN_REGISTRIES_FILE: /nowhere.json: there is no such file',
    ])
  })

  test.each([
    [
      'half-written',
      'registries: {a.example: [',
      /tallyman\.yml: not YAML at line 1, column 26: the indentation is wrong, or a bracket is not closed$/,
    ],
    ['no map', '- a', /tallyman\.yml: expected keys and values/],
    ['emptied', '', /tallyman\.yml: is empty or missing, and was not before/],
  ])('a file that is %s is no reason to forget its registries', (_, text, message) => {
    const own = file('registries: {a.example: [a]}\n')
    const { readRegistries } = readConfig({ TALLYMAN_CONFIG: own }, ROOT)
    file(text)
    expect(readRegistries).toThrow(message)
    expect(readRegistries).toThrow(RegistriesError)
  })

  test('nor is one that is gone, even if nobody had to write it', () => {
    const own = file('registries: {a.example: [a]}\n')
    const apart = file('b.example: [b]', 'registries.yml')
    const from = process.cwd()
    process.chdir(folder.path)
    try {
      const { readRegistries } = readConfig({ TALLYMAN_REGISTRIES_FILE: apart }, ROOT)
      expect(readRegistries()).toHaveLength(2)
      file('', 'registries.yml')
      expect(readRegistries).toThrow(/registries\.yml: is empty or missing/)
      rmSync(own)
      expect(readRegistries).toThrow(/tallyman\.yml: is empty or missing/)
    } finally {
      process.chdir(from)
    }
  })

  test('finds a file that appears after the start, and the file of registries that it names', () => {
    const from = process.cwd()
    process.chdir(folder.path)
    try {
      rmSync('tallyman.yml', { force: true })
      const { readRegistries, registriesFiles } = readConfig({}, ROOT)
      expect(registriesFiles()).toEqual(['tallyman.yml'])
      file('registries: {a.example: [a]}\nregistries_file: later.yml\n')
      expect(readRegistries).toThrow(/later\.yml: there is no such file/)
      expect(registriesFiles()).toEqual(['tallyman.yml', 'later.yml'])
      file('b.example: [b]', 'later.yml')
      expect(readRegistries().map(({ name }) => name)).toEqual(['a.example', 'b.example'])
      file('')
      expect(readRegistries).toThrow(/tallyman\.yml: is empty or missing/)
      file('registries: {a.example: [a]}\n')
      rmSync('later.yml')
      expect(readRegistries().map(({ name }) => name)).toEqual(['a.example'])
    } finally {
      process.chdir(from)
    }
  })

  test('cannot be changed afterwards', () => {
    expect(Object.isFrozen(readConfig({}, ROOT))).toBe(true)
  })
})
