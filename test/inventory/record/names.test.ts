import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { setTimeout } from 'node:timers/promises'
import { closeDeleted } from '../../../src/inventory/record/close-deleted.js'
import { joinLookups } from '../../../src/inventory/record/join-lookups.js'
import { learnManifest } from '../../../src/inventory/record/learn-manifest.js'
import { mergeAliases } from '../../../src/inventory/record/merge-aliases.js'
import { carryOutRenames } from '../../../src/inventory/record/renames.js'
import type { Digest, RepositoryPath } from '../../../src/events/reference.js'
import type { Rename } from '../../../src/events/registry-event.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { inventoryOf } from '../../servers/inventory.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const digest = (name: string): string => `sha256:${name.padStart(64, '0')}`
const ALIASES = new Map([
  ['alias.example', 'registry.example'],
  ['10.0.0.5:5000', 'registry.example'],
])

const ONE = {
  digest: digest('one') as Digest,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  size: 20,
  contents: [{ digest: digest('b10b') as Digest, mediaType: 'application/octet-stream', size: 10 }],
}

type Wanted = NonNullable<Parameters<typeof anEvent>[0]>
const at = (second: number): string => `2026-11-18T10:00:${String(second).padStart(2, '0')}Z`
const pushed = (tag: string, second: number, more: Wanted = {}): Wanted => ({
  object: 'manifest',
  digest: digest(tag),
  tag,
  at: at(second),
  ...more,
})

describe.each(STORE_PAIRS)('names of registries and repositories in %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => stores.clear())
  afterAll(async () => stores.close())

  const tags = async (): Promise<string[]> => {
    const { rows } = await sql<{ name: string }>`
      select registry || '/' || repository || ':' || name as name from inventory.live_tags order by 1
    `.execute(stores.database.sql)
    return rows.map(({ name }) => name)
  }
  const ingest = async (...wanted: Wanted[]): Promise<void> => {
    const { ingest } = createCounting(stores)
    for (const [i, one] of wanted.entries()) await ingest([anEvent({ id: i + 1, ...one })])
  }
  const carryOut = async (): Promise<void> => carryOutRenames(stores.database, { since: new Date(0) })
  const rename = (what: Rename['what'], from: string, to: string, second: number): Wanted => ({
    id: 100 + second,
    action: 'rename',
    repository: from,
    at: at(second),
    rename: { what, from: from as RepositoryPath, to: to as RepositoryPath },
  })

  test('events of an alias have the same result as events of the registry', async () => {
    const one = fc.record({
      registry: fc.constantFrom('registry.example', ...ALIASES.keys()),
      repository: fc.constantFrom('a', 'b'),
      action: fc.constantFrom('push', 'push', 'pull', 'delete'),
      object: fc.constantFrom('manifest', 'blob'),
      digest: fc.constantFrom(digest('1'), digest('2')),
      tag: fc.constantFrom(undefined, 'latest'),
      second: fc.integer({ min: 0, max: 9 }),
    })
    const events = fc.array(one, { minLength: 1, maxLength: 12 }).map((some) =>
      some.map(({ second, tag, object, ...fields }) => ({
        ...fields,
        at: at(second),
        ...(fields.action !== 'delete' && { object }),
        ...(tag && object === 'manifest' && { tag }),
      })),
    )
    await fc.assert(
      fc.asyncProperty(events, async (history) => {
        await stores.clear()
        await ingest(...history.map((event) => ({ ...event, registry: 'registry.example' })))
        const expected = await inventoryOf(stores.database)
        await stores.clear()
        await ingest(...history)
        await mergeAliases(stores.database, ALIASES)
        await mergeAliases(stores.database, ALIASES)
        expect(await inventoryOf(stores.database)).toEqual(expected)
      }),
      runsOn(stores.database, { postgresql: 40, pglite: 15 }),
    )
  })

  test('a renamed repository keeps its contents, also of late events of its old path', async () => {
    await ingest(
      pushed('one', 1, { repository: 'old' }),
      rename('repository', 'old', 'new', 5),
      pushed('late', 2, { repository: 'old' }),
    )
    await carryOut()
    await ingest(pushed('later', 3, { repository: 'old', id: 7 }))
    expect(await tags()).toEqual([
      'registry.example/new:late',
      'registry.example/new:one',
      'registry.example/old:later',
    ])
    await carryOut()
    expect(await tags()).toEqual([
      'registry.example/new:late',
      'registry.example/new:later',
      'registry.example/new:one',
    ])
  })

  test('what is pushed to the old path after the rename is another repository', async () => {
    await ingest(
      pushed('one', 1, { repository: 'old' }),
      rename('repository', 'old', 'new', 5),
      pushed('again', 6, { repository: 'old' }),
    )
    await carryOut()
    expect(await tags()).toEqual(['registry.example/new:one', 'registry.example/old:again'])
  })

  test('a namespace takes all repositories below it along, and no other', async () => {
    await ingest(
      pushed('one', 1, { repository: 'team/a' }),
      pushed('two', 1, { repository: 'team/b/c' }),
      pushed('three', 1, { repository: 'team-x/a' }),
      rename('namespace', 'team', 'group/crew', 5),
    )
    await carryOut()
    expect(await tags()).toEqual([
      'registry.example/group/crew/a:one',
      'registry.example/group/crew/b/c:two',
      'registry.example/team-x/a:three',
    ])
  })

  test('a path that was renamed twice is followed, in whatever order that is reported', async () => {
    await ingest(
      rename('repository', 'b', 'c', 7),
      rename('repository', 'a', 'b', 5),
      pushed('one', 1, { repository: 'a' }),
    )
    await carryOut()
    expect(await tags()).toEqual(['registry.example/c:one'])
  })

  const ids = async (): Promise<Record<string, number>> => {
    const { rows } = await sql<{ name: string; id: number }>`select name, id from inventory.repositories`.execute(
      stores.database.sql,
    )
    return Object.fromEntries(rows.map(({ name, id }) => [name, id]))
  }

  test.each([
    ['as they happened', [10, 20]],
    ['the other way round', [20, 10]],
  ])(
    'what a rename brought stays when an earlier rename of that path is carried out again, reported %s',
    async (_, order) => {
      await ingest(pushed('one', 5, { repository: 'a', id: 1 }), pushed('two', 5, { repository: 'c', id: 2 }))
      for (const second of order) {
        await ingest(second === 10 ? rename('repository', 'a', 'b', 10) : rename('repository', 'c', 'a', 20))
        await carryOut()
      }
      await ingest(pushed('late', 6, { repository: 'c', id: 3 }), pushed('early', 6, { repository: 'a', id: 4 }))
      for (let run = 0; run < 3; run++) await carryOut()
      expect(await tags()).toEqual([
        'registry.example/a:late',
        'registry.example/a:two',
        'registry.example/b:early',
        'registry.example/b:one',
      ])
      const { rows } = await sql<{ name: string; tag: string }>`
      select r.name, c.tag from inventory.changes c join inventory.repositories r on r.id = c.repository_id order by 1, 2
    `.execute(stores.database.sql)
      expect(rows.map(({ name, tag }) => `${name}:${tag}`)).toEqual(['a:late', 'a:two', 'b:early', 'b:one'])
    },
  )

  test('a repository that was renamed there and back stays where it is, with the id it has', async () => {
    await ingest(
      pushed('one', 1, { repository: 'a' }),
      rename('repository', 'a', 'b', 5),
      rename('repository', 'b', 'a', 10),
    )
    await carryOut()
    const before = await ids()
    expect(Object.keys(before)).toEqual(['a'])
    for (let run = 0; run < 3; run++) await carryOut()
    expect(await ids()).toEqual(before)
    await ingest(pushed('late', 3, { repository: 'a', id: 7 }), pushed('between', 7, { repository: 'b', id: 8 }))
    await carryOut()
    expect(await tags()).toEqual(['registry.example/a:between', 'registry.example/a:late', 'registry.example/a:one'])
  })

  test('a path that an interrupted rename left empty is moved as well', async () => {
    await ingest(pushed('one', 1, { repository: 'new' }), rename('repository', 'old', 'new', 5))
    await sql`insert into inventory.repositories (registry, name, first_seen_at, last_seen_at)
      values ('registry.example', 'old', ${at(1)}, ${at(1)})`.execute(stores.database.sql)
    await carryOut()
    expect(Object.keys(await ids())).toEqual(['new'])
  })

  test('an old rename that is reported only now is carried out once', async () => {
    await ingest(pushed('one', 1, { repository: 'old' }), rename('repository', 'old', 'new', 5))
    await carryOutRenames(stores.database, { since: new Date('2026-12-24') })
    expect(await tags()).toEqual(['registry.example/new:one'])
  })

  test('what was deleted under a path does not end what a rename brings there later', async () => {
    await ingest(
      pushed('gone', 1, { repository: 'new', id: 1 }),
      pushed('one', 1, { repository: 'old', id: 2 }),
      { id: 3, action: 'delete', repository: 'new', at: at(3) },
      rename('repository', 'old', 'new', 5),
    )
    await carryOut()
    await closeDeleted(stores.database)
    expect(await tags()).toEqual(['registry.example/new:one'])
  })

  test('a HEAD of a tag before a rename and its GET become a pull of the tag at the new path', async () => {
    const client = {
      address: '192.0.2.7',
      userAgent: 'containerd/1.7',
      object: 'manifest',
      digest: digest('one'),
    } as const
    await ingest(
      pushed('one', 1, { repository: 'old', id: 1 }),
      { ...client, id: 2, action: 'pull', method: 'HEAD', tag: 'one', repository: 'old', at: at(3) },
      { ...client, id: 3, action: 'pull', method: 'GET', repository: 'old', at: at(4) },
      rename('repository', 'old', 'new', 5),
    )
    await carryOut()
    await joinLookups(stores.database)
    const { rows } = await sql<{ pulled_at: Date }>`select pulled_at from inventory.tags`.execute(stores.database.sql)
    expect(rows.map(({ pulled_at }) => pulled_at.toISOString())).toEqual(['2026-11-18T10:00:04.000Z'])
  })

  const liveBlobs = async (): Promise<Record<string, number>> => {
    const { rows } = await sql<{ name: string; count: number }>`
      select r.name, count(*)::int as count from inventory.repository_blobs b
      join inventory.repositories r on r.id = b.repository_id where b.live group by 1
    `.execute(stores.database.sql)
    return Object.fromEntries(rows.map(({ name, count }) => [name, count]))
  }

  test('the blobs of a manifest move with it, if its contents are read while the repository is moved', async () => {
    await ingest(pushed('one', 1, { repository: 'old' }), rename('repository', 'old', 'new', 5))
    let moving: Promise<void> | undefined
    await stores.database.transaction(async (tx) => {
      await learnManifest(tx, ONE)
      moving = carryOut()
      await setTimeout(300)
    })
    await moving
    const { rows } = await sql<{ name: string | null; digest: string }>`
      select r.name, b.digest from inventory.repository_blobs b left join inventory.repositories r on r.id = b.repository_id
    `.execute(stores.database.sql)
    expect(rows).toEqual([{ name: 'new', digest: digest('b10b') }])
  })

  test('the blobs of a manifest are deleted with its repository, if its contents are read while that is deleted', async () => {
    await ingest(pushed('one', 1, { repository: 'old' }))
    let ending: Promise<void> | undefined
    await stores.database.transaction(async (tx) => {
      await learnManifest(tx, ONE)
      ending = ingest({ id: 2, action: 'delete', repository: 'old', at: at(5) }).then(async () =>
        closeDeleted(stores.database),
      )
      await setTimeout(300)
    })
    await ending
    expect(await liveBlobs()).toEqual({})
  })

  const BLOB = { digest: digest('b10b') as Digest, mediaType: 'application/octet-stream', size: 10 }
  const references = [BLOB]

  test('a delete under a path does not delete what a rename brought there, nor the blobs of an image there', async () => {
    await ingest(
      { id: 1, action: 'delete', repository: 'new', at: at(10) },
      pushed('one', 5, { repository: 'old', id: 2, references }),
      pushed('two', 5, { repository: 'old', id: 3 }),
      rename('repository', 'old', 'new', 20),
    )
    await carryOut()
    const pulled = (tag: string, id: number): Wanted => ({
      ...pushed(tag, 30, { repository: 'new', id, action: 'pull', references }),
    })
    await ingest(pulled('one', 4), pulled('two', 5), pushed('late', 7, { repository: 'new', id: 6 }))
    await ingest(pushed('one', 7, { repository: 'new', id: 7 }))
    await closeDeleted(stores.database)
    expect(await liveBlobs()).toEqual({ new: 1 })
    expect(await tags()).toEqual(['registry.example/new:one', 'registry.example/new:two'])
  })

  test('a delete of an object before a rename does not delete the one that the rename brings, reported before it or after', async () => {
    const orders = [
      ['delete', 'push', 'rename'],
      ['push', 'rename', 'delete'],
    ] as const
    for (const order of orders) {
      await stores.clear()
      const reports = {
        delete: { id: 1, action: 'delete', repository: 'new', digest: digest('one'), at: at(10) },
        push: pushed('one', 5, { repository: 'old', id: 2 }),
        rename: rename('repository', 'old', 'new', 20),
      } as const
      for (const one of order) {
        await ingest(reports[one])
        await carryOut()
      }
      const { rows } = await sql`select live from inventory.repository_manifests`.execute(stores.database.sql)
      expect(rows).toEqual([{ live: true }])
    }
  })

  const fill = async (repository: string, blobs: number): Promise<void> => {
    await ingest(pushed('one', 1, { repository }))
    await sql`
      insert into inventory.repository_blobs (repository_id, digest, size, pushed_at, first_seen_at)
      select id, 'sha256:' || lpad(n::text, 64, '0'), 10, ${at(1)}, ${at(1)}
      from inventory.repositories, generate_series(1, ${blobs}) n where name = ${repository}
    `.execute(stores.database.sql)
  }
  test('a large repository is renamed in steps behind the event, and an interrupted rename is continued', async () => {
    await fill('old', 12_000)
    await ingest(rename('repository', 'old', 'new', 5))
    expect(await liveBlobs()).toEqual({ old: 12_000 })
    const db = stores.database.sql
    const last = sql.raw(`'${digest('12000')}'`)
    const { old = 0 } = await ids()
    await sql`
      alter table inventory.repository_blobs add constraint refused check (digest <> ${last} or repository_id = ${sql.raw(String(old))})
    `.execute(db)
    await expect(carryOut()).rejects.toThrow(AggregateError)
    await sql`alter table inventory.repository_blobs drop constraint refused`.execute(db)
    expect(await liveBlobs()).toEqual({ old: 1_000, new: 11_000 })
    await carryOut()
    expect(await liveBlobs()).toEqual({ new: 12_000 })
    expect(Object.keys(await ids())).toEqual(['new'])
  })

  test('a large repository that is deleted ends in steps behind the event, a small one with it', async () => {
    await fill('large', 12_000)
    await fill('small', 20)
    for (const [i, repository] of ['large', 'small'].entries())
      await ingest({ id: 10 + i, action: 'delete', repository, at: at(5) })
    expect(await liveBlobs()).toEqual({ large: 12_000 })
    await closeDeleted(stores.database)
    expect(await liveBlobs()).toEqual({})
    await closeDeleted(stores.database)
    await ingest(pushed('again', 7, { repository: 'large', id: 20 }))
    await ingest({ id: 21, action: 'delete', repository: 'large', at: at(9) })
    await closeDeleted(stores.database)
    expect(await tags()).toEqual([])
  })

  test('an alias of which one repository cannot be merged gives all others', async () => {
    await ingest(
      ...['a', 'b', 'c'].map((repository, i) => pushed(repository, i + 1, { registry: 'alias.example', repository })),
    )
    const db = stores.database.sql
    await sql`alter table inventory.tags add constraint refused check (name <> 'a' or repository_id = ${sql.raw(
      String((await ids()).a),
    )})`.execute(db)
    try {
      await expect(mergeAliases(stores.database, ALIASES)).rejects.toThrow(AggregateError)
      expect(await tags()).toEqual(['alias.example/a:a', 'registry.example/b:b', 'registry.example/c:c'])
    } finally {
      await sql`alter table inventory.tags drop constraint refused`.execute(db)
    }
    await mergeAliases(stores.database, ALIASES)
    expect(await tags()).toEqual(['registry.example/a:a', 'registry.example/b:b', 'registry.example/c:c'])
  })
})
