import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { machineClock } from '../servers/clock.js'
import { heardAt } from '../servers/heard.js'
import { embeddedFolder, openServers } from '../servers/stores.js'
import { tallyman, type Result } from '../servers/tallyman.js'
import { openPostgres } from '../../src/storage/sql/postgres.js'
import { sql } from 'kysely'

describe('tallyman clients test', () => {
  test('shows the clients of user agents', async () => {
    const { code, out } = await tallyman({}, 'clients', 'test', 'containerd/v1.7.21-k3s2', 'acme/2')
    expect(code).toBe(0)
    expect(out).toMatch(/containerd +1\.7\.21-k3s2 +runtime/)
    expect(out).toMatch(/acme +2 +unknown/)
  })

  test('prints JSON', async () => {
    const { out } = await tallyman({}, 'clients', 'test', '--json', 'skopeo/1.13.3')
    expect(JSON.parse(out)).toEqual([{ client: 'skopeo', kind: 'cli', version: '1.13.3' }])
  })
})

describe('the help of a command below pulls', () => {
  test.each(['pulls', 'pulls pullers', 'pulls behaviour', 'pulls forget', 'pulls last-used'])(
    'names no option that %s refuses',
    async (command) => {
      const { out } = await tallyman({}, ...command.split(' '), '--help')
      const [options = ''] = (out.split('\nOptions:\n')[1] ?? '').split('\n\n')
      const filters = /\nFilters[^]*?\n\n/.exec(out)?.[0] ?? ''
      const taken = new Set([...options.matchAll(/^ {2}(?:-\w, )?(--[a-z-]+)/gm)].map(([, name]) => name))
      for (const [name] of filters.matchAll(/(?<= )--[a-z][a-z-]+/g)) taken.add(name)
      const heading = /\nFilters.*:/.exec(out)?.[0] ?? ''
      const named = [...heading.matchAll(/--[a-z][a-z-]+/g)].map(([name]) => name)
      expect(named.filter((name) => !options.includes(name))).toEqual([])
      const examples = out.split('\nExamples:\n')[1] ?? ''
      const used = [...examples.matchAll(/ (--[a-z][a-z-]+)/g)].map(([, name]) => name)
      expect(used.filter((name) => !taken.has(name))).toEqual([])
    },
  )
})

describe('tallyman pulls', () => {
  const folder = embeddedFolder()
  const now = machineClock().toISOString()
  let servers: Awaited<ReturnType<typeof openServers>>
  beforeAll(async () => {
    servers = await openServers()
    const database = openPostgres(servers.environment.DATABASE_URL)
    await sql`
      insert into pulls.outcomes (id, what, at, registry, repository, tag, by_tag, origin, endpoint, source, gets, client, kind)
      select n::text, 'invocation', ${now}::timestamptz - n * interval '1 hour', 'registry.example', 'team/app', '1.0', true,
        'origin' || n % 3, 'endpoint', 'notification', n % 2, 'containerd', 'runtime'
      from generate_series(1, 60) n
    `.execute(database.sql)
    await sql`
      insert into pulls.last_uses (registry, repository, reference, kind, used_at, pulled_at)
      values ('registry.example', 'team/app', '1.0', 'runtime', ${now}::timestamptz - interval '1 hour', ${now}::timestamptz - interval '1 hour')
    `.execute(database.sql)
    await sql`
      with repository as (
        insert into inventory.repositories (registry, name, first_seen_at, last_seen_at)
        values ('registry.example', 'team/app', ${now}::timestamptz, ${now}::timestamptz) returning id
      )
      insert into inventory.tags (repository_id, name, digest, pointed_at, pushed_at, pulled_at)
      select id, tag, 'sha256:' || tag, ${now}::timestamptz, ${now}::timestamptz - interval '200 days', pulled_at
      from repository, (values ('1.0', ${now}::timestamptz - interval '1 hour'), ('never', null)) as told (tag, pulled_at)
    `.execute(database.sql)
    await heardAt(database.sql, new Date(now))
    await sql`
      insert into inventory.manifests (digest, media_type, contents_known)
      select 'sha256:' || tag, 'application/vnd.oci.image.manifest.v1+json', true from unnest(array['1.0', 'never']) tag
    `.execute(database.sql)
    await sql`insert into pulls.registries (registry, folded_to) values ('registry.example', ${now}::timestamptz)`.execute(
      database.sql,
    )
    await database.close()
  })
  afterAll(async () => {
    await servers.close()
    folder.remove()
  })
  const pulls = async (...args: string[]): Promise<Result> =>
    tallyman({ TALLYMAN_DATA_DIR: folder.path, ...servers.environment }, 'pulls', ...args)
  const days = new Date(machineClock().getTime() - 4 * 86_400_000).toISOString().slice(0, 10)

  test('answers in a table, with bars and the definition of each number', async () => {
    const { code, out } = await pulls('--since', days, '--group-by', 'day', '--measures', 'pulls,checks')
    expect(code).toBe(0)
    expect(out).toMatch(/^\S+ to \S+ \(UTC\)\n/)
    expect(out).toMatch(/[▁-█]{3,} {2}pulls/)
    expect(out).toMatch(/total +30 +30/)
    expect(out).toMatch(/pulls \(counted\): invocations with at least one GET/)
  })

  test('has a bar for times without pulls, too', async () => {
    const since = new Date(machineClock().getTime() - 9 * 86_400_000).toISOString().slice(0, 10)
    const { out } = await pulls('--since', since, '--group-by', 'day', '--measures', 'pulls')
    expect(out).toMatch(/^▁{6}[▁-█]{4} {2}pulls$/m)
  })

  test('answers as JSON, CSV and NDJSON', async () => {
    const parameters = ['--since', days, '--group-by', 'repository', '--measures', 'invocations,unique_origins']
    expect(JSON.parse((await pulls(...parameters, '--json')).out)).toMatchObject({
      rows: [{ repository: 'team/app', invocations: 60, unique_origins: 3 }],
    })
    expect((await pulls(...parameters, '--csv')).out).toBe('repository,invocations,unique_origins\r\nteam/app,60,3\r\n')
    expect(JSON.parse((await pulls(...parameters, '--ndjson')).out)).toEqual({
      repository: 'team/app',
      invocations: 60,
      unique_origins: 3,
    })
  })

  test.each(['--csv', '--ndjson'])('writes notes to standard error: %s', async (format) => {
    const parameters = ['--since', days, '--group-by', 'country,hour', '--measures', 'pulls', '--limit', '1', format]
    const { out, err } = await pulls(...parameters)
    expect(out).not.toMatch(/countries|More groups/)
    expect(err).toMatch(/^note: Requests get their countries on arrival/m)
    expect(err).toMatch(/^note: More groups exist; raise --limit\.$/m)
  })

  test.each([
    [['--since', days], 'out'],
    [['--since', days, '--csv'], 'err'],
    [['--since', days, '--ndjson'], 'err'],
    [['pullers', '--since', days], 'out'],
    [['behaviour'], 'out'],
    [['behaviour', '--json'], 'err'],
  ] as const)('marks provisional numbers: pulls %j', async (args, where) => {
    const database = openPostgres(servers.environment.DATABASE_URL)
    await sql`
      insert into pulls.registries (registry, folded_to)
      values ('provisional.example', ${now}::timestamptz - interval '2 minutes')
    `.execute(database.sql)
    await sql`
      insert into provisional.outcomes
        (id, what, at, last_at, registry, repository, tag, by_tag, origin, endpoint, source, gets, client, kind)
      select 'p', 'invocation', at, at, 'provisional.example', 'team/new', '1.0', true, 'o', 'e', 'notification', 1, 'c', 'cli'
      from (select ${now}::timestamptz - interval '1 minute' as at) t
    `.execute(database.sql)
    await sql`
      insert into pulls.pending (id, registry, at, repository, origin, request, who)
      values (gen_random_uuid(), 'provisional.example', ${now}::timestamptz - interval '1 minute', 'team/new', 'o', '{}', '{}')
    `.execute(database.sql)
    const result = await pulls(...args)
    await sql`delete from pulls.pending`.execute(database.sql)
    await sql`delete from provisional.outcomes`.execute(database.sql)
    await sql`delete from pulls.registries where registry = 'provisional.example'`.execute(database.sql)
    await database.close()
    expect(result[where]).toMatch(/^(note: )?Numbers since \S+ are provisional/m)
  })

  test('rounds bytes in tables, and not in CSV', async () => {
    const parameters = ['--since', days, '--measures', 'bytes', '--compare', 'previous']
    expect((await pulls(...parameters)).out).toMatch(/\n *bytes *\n0 B *\nbefore +bytes *\n\S+ +0 B *\n/)
    expect((await pulls(...parameters, '--csv')).out).toBe('bytes,previous_bytes\r\n0,0\r\n')
  })

  test('says that there are no rows, and repeats the filters', async () => {
    const parameters = ['--group-by', 'day', '--measures', 'pulls', '--repository', 'team/none']
    expect((await pulls(...parameters, '--csv')).out).toBe('day,pulls\r\n')
    expect((await pulls(...parameters)).out).toMatch(/\(UTC\)\n\nno rows\n\n +pulls\ntotal +0\n/)
    expect((await pulls('--csv', '--ndjson')).err).toMatch(/'--csv' cannot be used with option '--ndjson'/)
  })

  test.each([
    [['--origin', 'typo'], 'the origin "typo"', '"tallyman pulls pullers" lists origins.'],
    [
      ['--repository', 'team/ap', '--json'],
      'the repository "team/ap"',
      '"tallyman pulls --group-by repository" lists repositories.',
    ],
  ])('says that no rows are recorded for the erasure: %j', async (args, named, lists) => {
    const { code, err } = await pulls('forget', ...args)
    expect([code, err]).toEqual([0, `note: Nothing is recorded for ${named}; check the spelling. ${lists}\n`])
  })

  test('prints a comparison without groups in every format', async () => {
    const parameters = ['--period', '2020-01', '--compare', 'previous', '--measures', 'pulls']
    expect((await pulls(...parameters, '--csv')).out).toBe('pulls,previous_pulls\r\n0,0\r\n')
    expect((await pulls(...parameters)).out).toMatch(/\npulls\n +0\nbefore +pulls\n2019-12-01 +0\n/)
  })

  test('shows who pulls most, and how', async () => {
    const spread = await pulls('pullers', '--since', days, '--top', '1', '--json')
    expect(JSON.parse(spread.out)).toMatchObject({
      pulls: 30,
      pullers: 3,
      median_pulls: 10,
      top: [{ pulls: 10, client: 'containerd' }],
      without_top: { pulls: 20, pullers: 2 },
    })
    const some = await pulls('pullers', '--since', days, '--client', 'podman', '--json')
    expect(JSON.parse(some.out)).toMatchObject({ pulls: 0, pullers: 0 })
    const behaviour = await pulls('behaviour', '--json')
    expect(JSON.parse(behaviour.out)).toHaveLength(3)
    expect(JSON.parse(behaviour.out)).toMatchObject([
      { pattern: 'regular_poller', period: 10_800, likely: 'deployment' },
      {},
      {},
    ])
  })

  test('shows when each tag was used last, as a table, JSON, CSV and NDJSON', async () => {
    const parameters = ['last-used', '--repository', 'team/app']
    expect((await pulls(...parameters)).out).toMatch(
      /^registry +repository +tag +digest .* last used at +last pulled at +client +kind\n/,
    )
    const { items } = JSON.parse((await pulls(...parameters, '--json')).out) as { items: object[] }
    expect(items).toMatchObject([
      { tag: 'never', last_used_at: null },
      { tag: '1.0', client: 'containerd', kind: 'runtime' },
    ])
    const first = await pulls(...parameters, '--csv', '--limit', '1')
    expect(first.out).toMatch(/^registry,repository,tag,[^\n]*,kind\r\nregistry\.example,team\/app,never,[^\n]*\r\n$/)
    expect(first.err).toMatch(/^there is more: --cursor /)
    const old = await pulls(...parameters, '--unused-for', '90d', '--ndjson', '--all')
    expect(
      old.out
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line) as unknown),
    ).toMatchObject([{ tag: 'never' }])
  })

  test.each([
    [['forget', '--repository', 'team/app', '--tag', '1.0'], /unknown option '--tag'/],
    [['--tag', '1.0', 'forget', '--repository', 'team/app'], /unknown option '--tag' of forget/],
    [['pullers', '--group-by', 'client'], /unknown option '--group-by'/],
    [['behaviour', '--kind', 'runtime'], /unknown option '--kind'/],
  ])('refuses options that it does not support: %j', async (args, message) => {
    const { code, out, err } = await pulls(...args)
    expect([code, out]).toEqual([1, ''])
    expect(err).toMatch(message)
  })

  test.each([
    [['last-used', '--csv', '--json'], '(see tallyman pulls last-used --help)'],
    [['--csv', '--json'], '(see tallyman pulls --help)'],
    [['forget', '--tag', '1.0'], '(see tallyman pulls forget --help)'],
  ])('points to the help of the command that was given: %j', async (args, advice) => {
    expect((await pulls(...args)).err).toContain(`${advice}\n`)
  })

  test('erases an origin', async () => {
    expect((await pulls('forget', '--origin', 'origin2')).out).toBe(
      'Erased: 20 invocations, 0 pending requests, 0 imported requests, 0 rows of days\n',
    )
    expect(JSON.parse((await pulls('--since', days, '--measures', 'invocations', '--json')).out)).toMatchObject({
      total: { invocations: 40 },
    })
  })

  test.each([
    [['--group-by', 'colour'], /group_by: "colour" is not known, expected hour, day/],
    [['--period', 'soon'], /period: unknown period "soon"; expected today/],
    [['forget'], /name what to erase: --origin, --repository/],
    [['last-used', '--unused-for', 'long'], /unused_for: is an age such as 90d/],
    [['pullers', '--top', 'all'], /--top: expected a whole number from 1 to 1000/],
  ])('says what is wrong: %j', async (args, message) => {
    const { code, err } = await pulls(...args)
    expect(code).toBe(1)
    expect(err).toMatch(message)
  })
})
