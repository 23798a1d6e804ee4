import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { ItemOutcome } from '../../src/ingest/item.js'
import { createRegistries } from '../../src/registries/registries.js'
import { createRegistryIdentity, type RegistryIdentity } from '../../src/registries/registry-identity.js'
import { migrate } from '../../src/schema/migrate.js'
import { createKeyClaim } from '../../src/schema/users-key.js'
import { installationIn } from '../../src/schema/installation.js'
import { createSqlSketches } from '../../src/storage/sketches/sql-sketches.js'
import type { Database } from '../../src/storage/sql/database.js'
import { ConnectionLost } from '../../src/storage/sql/losses.js'
import { openPostgres, withoutTimeLimit } from '../../src/storage/sql/postgres.js'
import { isStorageUnavailable } from '../../src/storage/unavailable.js'
import { fixedClock, NOW } from '../servers/clock.js'
import { countOf, createCounting } from '../servers/counting.js'
import { reportedEvent } from '../servers/events.js'
import { startPostgres, type PostgresServer } from '../servers/postgres.js'
import { eventually } from '../servers/process.js'
import { digestNamed } from '../servers/stub-registry.js'

const PEOPLE = 11
const LAYER = 'application/vnd.oci.image.layer.v1.tar'
const REPOSITORY = 'team/app'
const SENDER = { host: 'registry.example', instance: 'process-1' }

type Wanted = Parameters<typeof reportedEvent>[0]

/** Of each person a push, a deletion and a pull; the same each time but for their ids, which begin after a number. */
const eventsOfAll = (after: number): Wanted[] =>
  Array.from({ length: PEOPLE }, (_, i) => [
    {
      id: after + 3 * i + 1,
      repository: `${REPOSITORY}-${i}`,
      action: 'push' as const,
      object: 'manifest' as const,
      digest: digestNamed(`b${i}`),
      references: [{ digest: digestNamed(`c${i}`), mediaType: LAYER, size: 7 }],
      tag: '1.0',
      name: `person-${i}`,
      type: 'build',
    },
    {
      id: after + 3 * i + 2,
      repository: `${REPOSITORY}-${i}`,
      action: 'delete' as const,
      tag: '0.9',
      name: `person-${i}`,
      type: 'build',
      method: 'DELETE',
    },
    {
      id: after + 3 * i + 3,
      repository: `${REPOSITORY}-${i}`,
      action: 'pull' as const,
      object: 'manifest' as const,
      digest: digestNamed(`d${i}`),
      references: [{ digest: digestNamed(`e${i}`), mediaType: LAYER, size: 7 }],
      tag: '2.0',
      name: `person-${i}`,
      type: 'build',
    },
  ]).flat()

describe('after a database without its newest contents took the place of the one that the process knew', () => {
  let postgres: PostgresServer
  let database: Database
  let identity: RegistryIdentity
  let restore: () => Promise<void>
  /** Is called once before the next statement of a batch is sent. */
  let beforeWriting: (() => Promise<void>) | undefined
  let send: (wanted: Wanted[], sender?: typeof SENDER) => Promise<ItemOutcome[]>

  beforeEach(async () => {
    postgres = await startPostgres({ settings: ['fsync=off'] })
    await withoutTimeLimit(postgres.url, migrate)
    const opened = openPostgres(postgres.url)
    database = {
      ...opened,
      run: async (statement, values, preparedAt) => {
        const isOfBatch = statement.text.includes('event_ids') && statement.text.includes('insert into inventory')
        if (isOfBatch && beforeWriting) {
          const first = beforeWriting
          beforeWriting = undefined
          await first()
        }
        return opened.run(statement, values, preparedAt)
      },
    }
    identity = await createRegistryIdentity({
      ...{ database, configured: createRegistries(() => []), setting: 'process', now: fixedClock },
    })
    const stores = { database, sketches: createSqlSketches(database) }
    const { ingest } = createCounting({
      ...stores,
      spoil: async () => Promise.resolve(),
      clear: async () => Promise.resolve(),
      close: async () => Promise.resolve(),
    })
    send = async (wanted, sender = SENDER) => {
      const resolvedAt = database.losses.count()
      const events = wanted.map((one) => ({ ...reportedEvent(one), ...sender }))
      const resolved = await identity.resolve(events)
      return ingest(resolved, undefined, resolvedAt)
    }
    await send([{ id: 1, name: 'person-0' }], { host: 'other.example', instance: 'process-0' })
    restore = await postgres.backUp()
  })
  afterEach(async () => {
    beforeWriting = undefined
    await database.close()
    await postgres.stop()
  })

  const sendUntilStored = async (after: number): Promise<ItemOutcome[]> => {
    let outcomes: ItemOutcome[] = []
    await eventually('the events are stored', async () => {
      outcomes = await send(eventsOfAll(after))
      return true
    })
    return outcomes
  }
  const rowsOf = async (text: string): Promise<Record<string, unknown>[]> =>
    (await sql.raw<Record<string, unknown>>(text).execute(database.sql)).rows

  /** That the database contains all that events of all people say. */
  const expectAll = async (): Promise<void> => {
    const sketch = 'i_container_registry_push_tag_user-2026-47'
    expect(await countOf({ database, sketches: createSqlSketches(database) } as never, sketch)).toBe(PEOPLE)
    expect(
      await rowsOf(`
        select count(*)::int as changes, count(a.name)::int as names
        from inventory.changes c left join inventory.actors a on a.id = c.actor_id
      `),
    ).toEqual([{ changes: 2 * PEOPLE, names: 2 * PEOPLE }])
    for (const table of ['manifests', 'manifest_blobs', 'repository_blobs'])
      expect(await rowsOf(`select from inventory.${table}`)).toHaveLength(2 * PEOPLE)
    expect(await rowsOf(`select count(*)::int as number from repositories where name like '${REPOSITORY}-%'`)).toEqual([
      { number: PEOPLE },
    ])
    const [hosts, processes] = ['registry_hosts', 'registry_processes']
    expect(await rowsOf(`select from ${hosts} where host = 'registry.example'`)).toHaveLength(1)
    expect(await rowsOf(`select from ${processes} where instance = 'process-1'`)).toHaveLength(1)
  }

  test('new events by the same people are stored with all that they say', async () => {
    await sendUntilStored(100)
    await expectAll()
    await restore()
    expect(new Set(await sendUntilStored(200))).toEqual(new Set(['recorded']))
    await expectAll()
  })

  test('a batch that was prepared before is refused, and complete when it comes again', async () => {
    await sendUntilStored(100)
    beforeWriting = restore
    const refused = await send(eventsOfAll(200)).catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(ConnectionLost)
    expect(isStorageUnavailable(refused)).toBe(true)
    expect(new Set(await sendUntilStored(200))).toEqual(new Set(['recorded']))
    await expectAll()
  })

  test('the process hears what others learn, although the database is at an earlier revision', async () => {
    for (let i = 0; i < 5; i++) await identity.resolve([{ ...reportedEvent({}), ...SENDER, host: `${i}.example` }])
    await restore()
    await eventually('the database answers', async () => database.version().then(() => true))
    const other = await createRegistryIdentity({
      ...{ database, configured: createRegistries(() => []), setting: 'process', now: fixedClock },
    })
    await other.resolve([{ ...reportedEvent({}), host: 'new.example', instance: 'process-0' }])
    await identity.refresh()
    expect(identity.registries.nameOf('new.example')).toBe('other.example')
    expect([...identity.learned().hosts.keys()].sort()).toEqual(['new.example', 'other.example'])
  })

  test('the database is bound to the users key again', async () => {
    await installationIn(database, 'a fingerprint', NOW)
    restore = await postgres.backUp()
    const claim = createKeyClaim(database, 'a fingerprint')
    const claims = async (): Promise<number> => (await rowsOf("select from leases where name = 'users key'")).length
    await eventually('the key is claimed', async () => claim()?.then(() => true) ?? Promise.resolve(true))
    expect(claim()).toBeUndefined()
    expect(await claims()).toBe(1)
    await restore()
    await eventually('the loss is noticed', async () => (await claims()) === 0)
    await claim()
    expect(await claims()).toBe(1)
  })
})
