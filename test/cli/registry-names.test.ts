import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { openPglite } from '../../src/storage/embedded/pglite.js'
import { embeddedFolder } from '../servers/stores.js'
import { tallyman, type Result } from '../servers/tallyman.js'

const folder = embeddedFolder()
beforeAll(async () => {
  const database = await openPglite(folder.path)
  await sql`
    insert into registry_hosts (host, registry, first_heard_at, last_heard_at, revision)
    select host, 'registry:5000', '2026-11-20Z', '2026-11-20Z', 1 from (values ('registry:5000'), ('registry.example.com')) of (host)
  `.execute(database.sql)
  await sql`update registry_identity set revision = 1`.execute(database.sql)
  await sql`
    insert into pulls.outcomes (id, what, at, registry, repository, tag, by_tag, origin, endpoint, source, gets, client, kind)
    select registry, 'invocation', '2026-11-20T12:00:00Z', registry, 'team/app', '1.0', true, 'origin', 'endpoint',
      'notification', 1, 'docker', 'cli'
    from (values ('registry:5000'), ('registry.example.com'), ('other.example')) of (registry)
  `.execute(database.sql)
  await sql`
    insert into pulls.registries (registry, folded_to)
    select distinct registry, '2026-11-21Z'::timestamptz from pulls.outcomes
  `.execute(database.sql)
  await database.close()
})
afterAll(() => {
  folder.remove()
})

const run = async (...args: string[]): Promise<Result> => tallyman({ TALLYMAN_DATA_DIR: folder.path }, ...args)
const PERIOD = ['--since', '2026-11-20', '--until', '2026-11-20', '--json']

describe('--registry takes the name or any host of a registry, and refuses what was never heard', () => {
  test.each([
    ['inventory', 'images', '--json'],
    ['pulls', ...PERIOD],
    ['pulls', 'pullers', ...PERIOD],
    ['pulls', 'forget', '--repository', 'team/app', '--json'],
  ])('%s %s', async (...args) => {
    const refused = await run(...args, '--registry', 'nowhere.example')
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('nowhere.example is unknown')])
    const { code, out } = await run(...args, '--registry', 'Registry.Example.com')
    expect(code).toBe(0)
    const answer = JSON.parse(out) as { pulls?: number; total?: object; invocations?: number }
    if (args[1] === 'forget') expect(answer.invocations).toBe(2)
    else if (args[1] === 'pullers') expect(answer.pulls).toBe(2)
    else if (args[0] === 'pulls') expect(answer.total).toMatchObject({ pulls: 2 })
  })
})
