import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { createRegistryClient } from '../../../src/registries/client/http-registry-client.js'
import { createReadBack, type ReadBack } from '../../../src/inventory/read-back/read-back.js'
import { createRegistries, type Registry } from '../../../src/registries/registries.js'
import type { RegistryClient } from '../../../src/registries/client/registry-client.js'
import { countUnread, retryReads } from '../../../src/inventory/read-back/unread-manifests.js'
import type { Database } from '../../../src/storage/sql/database.js'
import { fixedClock, NOW } from '../../servers/clock.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { inventoryOf } from '../../servers/inventory.js'
import { aManifest, anImage, descriptor, digestOf, OCI_IMAGE, OCI_INDEX } from '../../servers/manifests.js'
import { eventually } from '../../servers/process.js'
import { StatementEnded } from '../../servers/seen-statements.js'
import { openServerStores, STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { startStub, type Stub } from '../../servers/stub.js'

const IMAGE = anImage('one')

describe.each(STORE_PAIRS)('manifests are read back on %s', (_, open) => {
  let stores: TestStores
  let registry: Stub
  let elsewhere: Stub
  let serves: Map<string, string>
  let blocked: Promise<unknown> | undefined
  let underWay = 0
  let mostUnderWay = 0
  beforeAll(async () => {
    stores = await open()
    registry = await startStub(async ({ path }, response) => {
      mostUnderWay = Math.max(mostUnderWay, ++underWay)
      await blocked
      underWay--
      const bytes = serves.get(path)
      response.writeHead(bytes === undefined ? 404 : 200).end(bytes ?? '{"errors":[{"code":"MANIFEST_UNKNOWN"}]}')
    })
    elsewhere = await startStub((_, response) => response.end('{}'))
  })
  afterAll(async () => {
    await stores.close()
    await registry.stop()
    await elsewhere.stop()
  })
  beforeEach(async () => {
    await stores.clear()
    registry.requests.length = 0
    blocked = undefined
    mostUnderWay = 0
    serves = new Map([[`/v2/team/app/manifests/${IMAGE.digest}`, IMAGE.bytes]])
  })

  /** Lets the registry answer nothing until the function that is returned is called. */
  const holdAnswers = (): (() => void) => {
    let release = (): void => undefined
    blocked = new Promise<void>((resolve) => (release = resolve))
    return () => {
      release()
    }
  }
  const named = (): Registry => ({ name: 'registry.example', aliases: ['alias.example'], url: registry.url })
  const readBack = (list: Registry[] = [named()], now = fixedClock, database: Database = stores.database): ReadBack =>
    createReadBack({
      database,
      registries: createRegistries(() => list),
      clientFor: (wanted) => {
        const found = list.find(({ name }) => name === wanted)
        return found && createRegistryClient(found, { userAgent: 'x', now })
      },
      now,
    })
  let ids = 0
  const pushed = (more: Parameters<typeof anEvent>[0] = {}): RegistryEvent =>
    anEvent({ id: ++ids, object: 'manifest', digest: IMAGE.digest, mediaType: OCI_IMAGE, ...more })
  const ingest = async (...events: RegistryEvent[]): Promise<unknown> => createCounting(stores).ingest(events)
  const run = async (query: string): Promise<unknown[]> => (await sql.raw(query).execute(stores.database.sql)).rows
  const blobs = async (): Promise<unknown[]> =>
    run(`select r.name as repository, b.digest, b.size::int, b.implied from inventory.repository_blobs b
      join inventory.repositories r on r.id = b.repository_id where b.live order by r.name, b.size desc`)
  const todo = async (): Promise<unknown[]> =>
    run(`select contents_known, attempts, last_error from inventory.manifests order by digest`)
  /** What was done, and the least and the most seconds from it to the next attempt: it took some time itself. */
  const delayAfter = async <T>(work: () => Promise<T>): Promise<{ done: T; least: number; most: number }> => {
    const clock = async (): Promise<number> =>
      ((await run('select extract(epoch from clock_timestamp())::float as at')) as [{ at: number }])[0].at
    const before = await clock()
    const done = await work()
    const after = await clock()
    const [row] = (await run(`select extract(epoch from max(next_attempt_at))::float as next from inventory.manifests
      where not contents_known`)) as [{ next: number | null }]
    return { done, least: (row.next ?? Infinity) - after, most: (row.next ?? Infinity) - before }
  }
  const due = async (): Promise<unknown> => run(`update inventory.manifests set next_attempt_at = now()`)
  const manifests = (): string[] =>
    registry.requests.map(({ path }) => path).filter((path) => path.includes('/manifests/'))

  /** The stores, whose first transaction fails. */
  const failingOnce = (error: Error): Database => {
    let failed = false
    const transaction: Database['transaction'] = async (work) => {
      if (failed) return stores.database.transaction(work)
      failed = true
      throw error
    }
    return { ...stores.database, transaction }
  }

  test('once for each digest, for all repositories that have it', async () => {
    await ingest(pushed(), pushed({ repository: 'team/other' }), pushed({ repository: 'third', action: 'pull' }))
    const reading = readBack()
    expect([await reading.run(), await reading.run(), await readBack().run()]).toEqual([1, 0, 0])
    expect(manifests()).toHaveLength(1)
    const both = [
      { digest: digestOf('one config'), size: 10, implied: true },
      { digest: digestOf('one layer'), size: 9, implied: true },
    ]
    expect(await blobs()).toEqual(
      ['team/app', 'team/other', 'third'].flatMap((repository) => both.map((blob) => ({ repository, ...blob }))),
    )
    await ingest(pushed({ repository: 'later' }))
    expect(await blobs()).toHaveLength(8)
  })

  test('not when the event stated their contents', async () => {
    await ingest(pushed({ references: [{ digest: digestOf('a') as never }] }))
    expect([await readBack().run(), registry.requests.length]).toEqual([0, 0])
  })

  test('after the pause that a registry asks for, which does not count as a failed attempt; the rest is not asked for meanwhile', async () => {
    const others = ['b', 'c', 'd'].map((name) => anImage(name))
    for (const { digest, bytes } of others) serves.set(`/v2/team/app/manifests/${digest}`, bytes)
    let clock = Date.parse('2026-11-21T12:00:00Z')
    let refused = 0
    const busy = await startStub(({ path }, response) => {
      if (clock < Date.parse('2026-11-21T12:00:30Z')) {
        refused++
        response.writeHead(429, { 'retry-after': '30' }).end()
      } else response.writeHead(200).end(serves.get(path) ?? '{}')
    })
    const reading = readBack([{ ...named(), url: busy.url }], () => new Date(clock))
    await ingest(pushed())
    const { done, least, most } = await delayAfter(async () => reading.run())
    expect([done, least <= 30, most >= 30]).toEqual([0, true, true])
    await ingest(...others.map(({ digest }) => pushed({ digest })))
    await due()
    expect([await reading.run(), refused]).toEqual([0, 1])
    expect(await run('select attempts, last_error from inventory.manifests order by last_error')).toEqual([
      { attempts: 0, last_error: 'the registry asks to slow down' },
      ...others.map(() => ({ attempts: 0, last_error: null })),
    ])
    clock += 30_000
    await due()
    expect(await reading.run()).toBe(4)
    await busy.stop()
  })

  test('without a pause that began while the clock was ahead', async () => {
    let clock = Date.parse('2026-11-22T12:00:00Z')
    let isBusy = true
    const busy = await startStub(({ path }, response) => {
      if (isBusy) response.writeHead(429, { 'retry-after': '30' }).end()
      else response.writeHead(200).end(serves.get(path) ?? '{}')
    })
    const reading = readBack([{ ...named(), url: busy.url }], () => new Date(clock))
    await ingest(pushed())
    expect(await reading.run()).toBe(0)
    isBusy = false
    clock -= 86_400_000
    await due()
    expect(await reading.run()).toBe(1)
    await busy.stop()
  })

  test('if their next attempt was scheduled while the clock of the database was ahead', async () => {
    await ingest(pushed())
    await run(`update inventory.manifests set next_attempt_at = now() + interval '1 year', attempts = 3`)
    expect(await readBack().run()).toBe(1)
  })

  test.each([
    ['for no time at all', '0'],
    ['until a moment that has passed', 'Sat, 21 Nov 2020 12:00:00 GMT'],
  ])('after a pause that grows from a second, if the registry asks to slow down %s', async (__, retryAfter) => {
    let clock = NOW.getTime()
    const busy = await startStub((___, response) => response.writeHead(429, { 'retry-after': retryAfter }).end())
    const others = Array.from({ length: 40 }, (____, i) => anImage(`busy-${i}`))
    await ingest(...others.map(({ digest }) => pushed({ digest })))
    const reading = readBack([{ ...named(), url: busy.url }], () => new Date(clock))
    const asked: number[] = []
    for (let second = 0; second <= 10; second++) {
      await due()
      expect(await reading.run()).toBe(0)
      asked.push(busy.requests.length)
      clock += 1_000
    }
    await busy.stop()
    // Requests that are under way together are refused together: eight at most, and then a pause.
    expect(asked.at(-1)).toBeLessThanOrEqual(5 * 8)
  })

  test('of one registry while another one pauses, and of that one when its pause is over', async () => {
    let clock = NOW.getTime()
    let isBusy = true
    const slow = await startStub(({ path }, response) => {
      if (isBusy) response.writeHead(429, { 'retry-after': '600' }).end()
      else response.writeHead(200).end(serves.get(path) ?? '{}')
    })
    const images = Array.from({ length: 40 }, (___, i) => anImage(`two-${i}`))
    for (const { digest, bytes } of images) serves.set(`/v2/team/app/manifests/${digest}`, bytes)
    const reading = readBack(
      [{ name: 'slow.example', aliases: ['slow-alias.example'], url: slow.url }, named()],
      () => new Date(clock),
    )
    await ingest(
      ...images.map(({ digest }, i) =>
        pushed({ digest, registry: i % 2 === 0 ? 'slow.example' : 'slow-alias.example' }),
      ),
    )
    // A run begins a minute before the previous one ended: manifests that this one skips are older.
    await run(`update inventory.manifests set next_attempt_at = now() - interval '10 minutes'`)
    await ingest(pushed())
    const learnt = [await reading.run()]
    clock += 300_000
    learnt.push(await reading.run())
    expect(slow.requests.length).toBeLessThanOrEqual(8)
    isBusy = false
    clock += 300_000
    await run(`update inventory.manifests set next_attempt_at = now() where last_error is not null`)
    learnt.push(await reading.run())
    await slow.stop()
    expect(learnt).toEqual([1, 0, 40])
  })

  test('of one registry while another one never answers, which is asked for eight only', async () => {
    const silent = await startStub(async () => new Promise(() => undefined))
    const list = [{ name: 'silent.example', aliases: [], url: silent.url }, named()]
    const reading = createReadBack({
      database: stores.database,
      registries: createRegistries(() => list),
      clientFor: (wanted) => {
        const found = list.find(({ name }) => name === wanted)
        const timeLimitMs = wanted === 'silent.example' ? 2_000 : 60_000
        return found && createRegistryClient(found, { userAgent: 'x', now: fixedClock, timeLimitMs })
      },
      now: fixedClock,
    })
    const unread = Array.from({ length: 70 }, (___, i) => anImage(`silent ${i}`))
    await ingest(...unread.map(({ digest }) => pushed({ digest, registry: 'silent.example' })))
    await run(`update inventory.manifests set next_attempt_at = now() - interval '10 minutes'`)
    await ingest(pushed())
    expect(await reading.run()).toBe(1)
    expect(silent.requests.length).toBe(8)
    const noted =
      await run(`select attempts, last_error, count(*)::int from inventory.manifests where not contents_known
      group by attempts, last_error order by attempts desc, last_error`)
    await silent.stop()
    expect(noted).toEqual([
      { attempts: 1, last_error: `${new URL(silent.url).host} did not answer in time`, count: 8 },
      { attempts: 0, last_error: 'the registry does not answer in time', count: 24 },
      { attempts: 0, last_error: null, count: 38 },
    ])
  })

  test('of one registry while another one answers slowly, which is asked for eight between two pauses', async () => {
    let time = fixedClock().getTime()
    const slow = await startStub((__, response) => {
      time += 5_000
      response.writeHead(404).end()
    })
    const list = [{ name: 'slow.example', aliases: [], url: slow.url }, named()]
    const reading = createReadBack({
      database: stores.database,
      registries: createRegistries(() => list),
      clientFor: (wanted) => {
        const found = list.find(({ name }) => name === wanted)
        return found && createRegistryClient(found, { userAgent: 'x', now: fixedClock })
      },
      now: () => new Date(time),
    })
    const unread = Array.from({ length: 70 }, (___, i) => anImage(`slow ${i}`))
    await ingest(...unread.map(({ digest }) => pushed({ digest, registry: 'slow.example' })))
    await run(`update inventory.manifests set next_attempt_at = now() - interval '10 minutes'`)
    await ingest(pushed())
    expect(await reading.run()).toBe(1)
    expect(slow.requests.length).toBe(8)
    time += 60_000
    await run(
      `update inventory.manifests set next_attempt_at = now() - interval '10 minutes' where next_attempt_at is not null`,
    )
    await reading.run()
    expect(slow.requests.length).toBe(16)
    await slow.stop()
  })

  test('again when somebody asks for it, after they were given up', async () => {
    await ingest(pushed(), pushed({ digest: digestOf('another') }))
    serves.clear()
    const reading = readBack()
    for (let attempt = 1; attempt <= 12; attempt++) {
      await due()
      expect(await reading.run()).toBe(0)
    }
    expect(await countUnread(stores.database.sql)).toEqual({ waiting: 0, givenUp: 2 })
    await ingest(pushed({ digest: digestOf('a third') }))
    serves.set(`/v2/team/app/manifests/${IMAGE.digest}`, IMAGE.bytes)
    expect(await retryReads(stores.database)).toBe(2)
    expect(await countUnread(stores.database.sql)).toEqual({ waiting: 3, givenUp: 0 })
    expect(await reading.run()).toBe(1)
    expect(await retryReads(stores.database)).toBe(2)
  })

  test('from named registries only, whatever an event says', async () => {
    const { host } = new URL(elsewhere.url)
    const unnamed = { name: 'no-address.example', aliases: [] }
    await ingest(
      pushed({ registry: host }),
      pushed({ registry: 'localhost', digest: digestOf('b') }),
      pushed({ registry: 'no-address.example', digest: digestOf('c') }),
    )
    expect(await readBack([named(), unnamed]).run()).toBe(0)
    expect(await readBack([unnamed]).run()).toBe(0)
    expect([registry.requests.length, elsewhere.requests.length]).toEqual([0, 0])
    expect(await todo()).toMatchObject(Array(3).fill({ attempts: 0, contents_known: false }))
  })

  test('under any of the names of a registry', async () => {
    await ingest(pushed({ registry: 'alias.example' }))
    expect(await readBack().run()).toBe(1)
  })

  test('from a registry that has them only later, ever more seldom, and then no more', async () => {
    serves.clear()
    await ingest(pushed())
    const reading = readBack()
    const hour = 3600
    const delays = [10, 30, 60, 300, 900, hour, 3 * hour, 6 * hour, 12 * hour, 12 * hour, 24 * hour, Infinity, Infinity]
    for (const delay of delays) {
      const { least, most } = await delayAfter(async () => reading.run())
      expect(least).toBeLessThanOrEqual(delay)
      expect(most).toBeGreaterThanOrEqual(delay)
      if (delay < Infinity) await due()
    }
    expect(await todo()).toMatchObject([
      { attempts: 12, last_error: 'registry.example has no such manifest in team/app', contents_known: false },
    ])
    expect(manifests()).toHaveLength(12)
  })

  test('at the next attempt from another repository that has it, and the error is gone', async () => {
    await ingest(pushed({ repository: 'gone', at: '2026-11-18T11:00:00Z' }), pushed())
    const reading = readBack()
    expect(await reading.run()).toBe(0)
    expect(await todo()).toMatchObject([{ last_error: 'registry.example has no such manifest in gone' }])
    await due()
    expect(await reading.run()).toBe(1)
    expect(await todo()).toMatchObject([{ contents_known: true, last_error: null }])
  })

  describe('from each registry that has them in turn,', () => {
    /** A registry without the manifest. It sorts first. */
    const without = (): Registry => ({ name: 'a.example', aliases: ['z.example'], url: elsewhere.url })
    const asked = (): number[] => [elsewhere.requests.length, manifests().length]
    beforeEach(() => {
      elsewhere.requests.length = 0
    })

    test('however many repositories of one registry have them, and under however many names', async () => {
      await ingest(pushed({ at: '2026-11-11T11:00:00Z' }))
      for (let i = 0; i < 15; i++)
        await ingest(pushed({ repository: `r${i}`, registry: i % 2 === 0 ? 'a.example' : 'z.example' }))
      const reading = readBack([without(), named()])
      expect([await reading.run(), asked()]).toEqual([0, [1, 0]])
      await due()
      expect([await reading.run(), asked()]).toEqual([1, [1, 1]])
    })

    test('also if more repositories have them than one statement for many manifests looks at', async () => {
      await sql`
        insert into inventory.repositories (registry, name, first_seen_at, last_seen_at)
        select 'a.example', 'r' || i, now(), now() from generate_series(1, 1500) i
      `.execute(stores.database.sql)
      await sql`
        insert into inventory.repository_manifests (repository_id, digest, pushed_at)
        select id, ${IMAGE.digest}, now() from inventory.repositories
      `.execute(stores.database.sql)
      await ingest(pushed({ at: '2026-11-11T11:00:00Z' }))
      const reading = readBack([without(), named()])
      expect([await reading.run(), asked()]).toEqual([0, [1, 0]])
      await due()
      expect([await reading.run(), asked()]).toEqual([1, [1, 1]])
    })

    test('from one repository after the other of each registry', async () => {
      serves.clear()
      await ingest(
        pushed({ repository: 'old', at: '2026-11-11T11:00:00Z' }),
        pushed({ repository: 'new' }),
        pushed({ registry: 'a.example', repository: 'one' }),
      )
      const reading = readBack([without(), named()])
      for (let attempt = 1; attempt <= 6; attempt++) {
        await reading.run()
        await due()
      }
      expect(manifests().map((path) => path.split('/')[2])).toEqual(['new', 'old', 'new'])
      expect(asked()).toEqual([3, 3])
    })

    test('twelve times each, and from the next registry 10 s after a failure', async () => {
      serves.clear()
      await ingest(pushed(), pushed({ registry: 'a.example' }))
      const reading = readBack([without(), named()])
      const hour = 3600
      const rounds = [10, 30, 60, 300, 900, hour, 3 * hour, 6 * hour, 12 * hour, 12 * hour, 24 * hour, Infinity]
      for (const delay of rounds.flatMap((round) => [10, round])) {
        const { least, most } = await delayAfter(async () => reading.run())
        expect(least).toBeLessThanOrEqual(delay)
        expect(most).toBeGreaterThanOrEqual(delay)
        if (delay < Infinity) await due()
      }
      expect(asked()).toEqual([12, 12])
      await reading.run()
      expect(asked()).toEqual([12, 12])
    })

    test('also twelve times when the other one is paused: its attempts are still to come', async () => {
      const busy = await startStub((__, response) => response.writeHead(429, { 'retry-after': '600' }).end())
      serves.clear()
      await ingest(pushed(), pushed({ registry: 'a.example' }))
      const reading = readBack([{ ...without(), url: busy.url }, named()])
      for (let run = 1; run <= 13; run++) {
        await reading.run()
        await due()
      }
      await busy.stop()
      expect(await countUnread(stores.database.sql)).toEqual({ waiting: 1, givenUp: 0 })
      expect([busy.requests.length, manifests().length]).toEqual([1, 12])
    })
  })

  test('not while they are deleted', async () => {
    await ingest(pushed(), anEvent({ id: ++ids, action: 'delete', digest: IMAGE.digest, at: '2026-11-19T00:00:00Z' }))
    expect([await readBack().run(), registry.requests.length]).toEqual([0, 0])
  })

  test('by one process at a time, eight at once', async () => {
    const images = Array.from({ length: 80 }, (_, i) => anImage(`image ${i}`))
    for (const { digest, bytes } of images) serves.set(`/v2/team/app/manifests/${digest}`, bytes)
    await ingest(...images.map(({ digest }) => pushed({ digest })))
    const release = holdAnswers()
    const runs = Promise.all([readBack().run(), readBack().run()])
    await eventually('eight are asked for', async () => Promise.resolve(mostUnderWay >= 8))
    release()
    const learnt = await runs
    expect(learnt[0] + learnt[1]).toBe(80)
    expect(manifests()).toHaveLength(80)
    expect(mostUnderWay).toBeLessThanOrEqual(16)
  })

  test('until the service stops: what is under way is still stored', async () => {
    const images = Array.from({ length: 30 }, (_, i) => anImage(`image ${i}`))
    for (const { digest, bytes } of images) serves.set(`/v2/team/app/manifests/${digest}`, bytes)
    await ingest(...images.map(({ digest }) => pushed({ digest })))
    const release = holdAnswers()
    const reading = readBack()
    const learnt = reading.run()
    await eventually('eight are asked for', async () => Promise.resolve(manifests().length === 8))
    reading.stop()
    release()
    expect([await learnt, manifests().length]).toEqual([8, 8])
  })

  test('however many cannot be read, and again when a configured registry has one of them', async () => {
    let at = NOW.getTime()
    const reading = readBack([named()], () => new Date(at))
    await sql`
      insert into inventory.manifests (digest, next_attempt_at)
      select 'sha256:' || lpad(i::text, 64, '0'), now() - interval '2 hours' + i * interval '1 ms'
      from generate_series(1, 5000) i
    `.execute(stores.database.sql)
    await ingest(pushed())
    expect(await reading.run()).toBe(1)
    const late = digestOf('late')
    await ingest(pushed({ digest: late, registry: 'elsewhere.example' }))
    await run(`update inventory.manifests set next_attempt_at = now() - interval '1 hour' where not contents_known`)
    await ingest(pushed({ digest: late }))
    expect([await reading.run(), manifests().length]).toEqual([0, 1])
    at += 60 * 60_000
    await reading.run()
    expect(manifests()).toHaveLength(2)
  })

  test.each([
    ['takes too long', 'Query read timeout', 'the manifest could not be stored in time'],
    ['fails', 'out of luck', 'the manifest could not be stored: out of luck'],
  ])('the others too when the storing of one %s, which is tried again later', async (_, message, reason) => {
    const other = anImage('other')
    serves.set(`/v2/team/app/manifests/${other.digest}`, other.bytes)
    await ingest(pushed(), pushed({ digest: other.digest }))
    const reading = readBack([named()], undefined, failingOnce(new Error(message)))
    const { done, least, most } = await delayAfter(async () => reading.run())
    expect(done).toBe(1)
    expect(least).toBeLessThanOrEqual(10)
    expect(most).toBeGreaterThanOrEqual(10)
    const rows = await todo()
    expect(rows).toContainEqual({ contents_known: true, attempts: 1, last_error: null })
    expect(rows).toContainEqual({ contents_known: false, attempts: 1, last_error: reason })
    await due()
    expect(await readBack().run()).toBe(1)
  })

  test('no more with the embedded store when a statement was cancelled, and the run fails', async () => {
    const digests = ['b', 'c', 'd', 'e', 'f', 'g', 'h', 'i'].map((name) => {
      const { digest, bytes } = anImage(name)
      serves.set(`/v2/team/app/manifests/${digest}`, bytes)
      return digest
    })
    await ingest(...digests.map((digest) => pushed({ digest })))
    const ended = new StatementEnded()
    let attempts = 0
    const transaction: Database['transaction'] = async () => {
      attempts++
      return Promise.reject(ended)
    }
    const result = await readBack([named()], undefined, { ...stores.database, transaction })
      .run()
      .catch((error: unknown) => error)
    if (stores.database.engine === 'postgresql') expect([result, attempts]).toEqual([0, digests.length])
    else {
      expect(result).toBe(ended)
      expect(attempts).toBeLessThan(digests.length)
    }
    await run(`update inventory.manifests set next_attempt_at = now() - interval '1 hour'`)
    expect(await readBack().run()).toBe(digests.length)
  })

  test('no more when the database is unavailable, and the run fails', async () => {
    await ingest(pushed())
    const away = new Error('Connection terminated')
    const database = failingOnce(away)
    // One that looks for attempts that are too far ahead, and the claim.
    let statements = 2
    const getExecutor = (): ReturnType<Database['sql']['getExecutor']> => {
      if (statements-- === 0) throw away
      return stores.database.sql.getExecutor()
    }
    const gone: Database = { ...database, sql: { getExecutor } as unknown as Database['sql'] }
    await expect(readBack([named()], undefined, gone).run()).rejects.toThrow(away)
    expect(await todo()).toMatchObject([{ contents_known: false, attempts: 1, last_error: null }])
  })

  test('an index with its children and their platforms, which events may have left out', async () => {
    const platform = { os: 'linux', architecture: 'arm64' }
    const child = descriptor('child', OCI_IMAGE)
    const index = aManifest({ mediaType: OCI_INDEX, manifests: [{ ...child, platform }, child] })
    serves.set(`/v2/team/app/manifests/${index.digest}`, index.bytes)
    await ingest(pushed({ digest: index.digest, mediaType: OCI_INDEX, size: index.bytes.length }))
    expect(await readBack().run()).toBe(1)
    expect(await inventoryOf(stores.database)).toMatchObject({
      manifests: [{ digest: index.digest, media_type: OCI_INDEX, size: index.bytes.length, contents_known: true }],
      manifest_blobs: [],
      repository_blobs: [],
      manifest_children: [
        { position: 1, digest: digestOf('child'), os: null },
        { position: 0, digest: digestOf('child'), ...platform, variant: null, media_type: OCI_IMAGE, size: 5 },
      ],
    })
  })
})

describe('manifests are read back from a busy PostgreSQL', () => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await openServerStores()
  })
  afterAll(async () => stores.close())

  test('later, where a row that is to be written stays locked', async () => {
    const digest = digestOf('a layer')
    const manifest = { digest: IMAGE.digest, mediaType: OCI_IMAGE, size: 20, contents: [{ digest, size: 10 }] }
    await createCounting(stores).ingest([
      anEvent({ id: 1, object: 'manifest', digest: IMAGE.digest, mediaType: OCI_IMAGE }),
      anEvent({ id: 2, object: 'blob', digest }),
    ])
    const reading = createReadBack({
      database: stores.database,
      registries: createRegistries(() => [{ name: 'registry.example', aliases: [], url: 'http://registry.example' }]),
      clientFor: () => ({ manifest: async () => Promise.resolve(manifest) }) as unknown as RegistryClient,
      now: fixedClock,
    })
    await stores.database.transaction(async (tx) => {
      await sql`select from inventory.repository_blobs for update`.execute(tx)
      expect(await reading.run()).toBe(0)
    })
    const { rows } = await sql`
      select attempts, last_error, next_attempt_at < now() + interval '1 minute' as soon from inventory.manifests
    `.execute(stores.database.sql)
    expect(rows).toEqual([{ attempts: 1, last_error: 'the manifest could not be stored in time', soon: true }])
    await sql`update inventory.manifests set next_attempt_at = now()`.execute(stores.database.sql)
    expect(await reading.run()).toBe(1)
  })
})
