import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { RegistryEvent } from '../../src/events/registry-event.js'
import type { RepositoryPath } from '../../src/events/reference.js'
import type { ReportedEvent, ReportedBy, UnreadableEvent } from '../../src/events/reported-item.js'
import { createRegistries, type Registry } from '../../src/registries/registries.js'
import { readConflicts } from '../../src/registries/conflicts.js'
import { joinRegistries, JoinRefused } from '../../src/registries/join-registries.js'
import { listRegistries } from '../../src/registries/list-registries.js'
import { MOST_HOSTS_OF_REGISTRY } from '../../src/registries/learned.js'
import { createRegistryIdentity, type RegistryIdentity } from '../../src/registries/registry-identity.js'
import type { Database } from '../../src/storage/sql/database.js'
import { reportedEvent } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'
import { runs } from '../servers/runs.js'

let id = 0
const reported = ({ host, instance }: ReportedBy): ReportedEvent => {
  return {
    ...reportedEvent({ id: ++id }),
    ...(host !== undefined && { host }),
    ...(instance !== undefined && { instance }),
  }
}
const sender = (text: string): ReportedBy => {
  const [instance = '', host = ''] = text.split('@')
  return { ...(instance !== '' && { instance }), ...(host !== '' && { host }) }
}

describe.each(STORE_PAIRS)('which registry a sender is, in %s', (_, open) => {
  let stores: TestStores
  let clock: Date
  let statements: number
  beforeAll(async () => {
    stores = await open()
  })
  beforeEach(async () => {
    await stores.clear()
    clock = new Date('2026-11-21T12:00:00Z')
    statements = 0
  })
  afterAll(async () => stores.close())

  const now = (): Date => clock
  const service = async (
    configured: Registry[] = [],
    { tokenNames = [], setting = 'process' }: { tokenNames?: string[]; setting?: 'host' | 'process' } = {},
  ): Promise<RegistryIdentity> => {
    const database: Database = {
      ...stores.database,
      transaction: async (work) => {
        statements++
        return stores.database.transaction(work)
      },
    }
    const identity = await createRegistryIdentity({
      database,
      configured: createRegistries(() => configured, tokenNames),
      setting,
      now,
    })
    await identity.refresh()
    return identity
  }
  /** The registries of events that come in one envelope. */
  const resolved = async (identity: RegistryIdentity, senders: string, named?: string): Promise<string[]> => {
    const events = await identity.resolve(
      senders.split(' ').map((text) => reported(sender(text))),
      named,
    )
    return events.map((event) => (event as RegistryEvent).registry)
  }

  test('is remembered by processes that start later, and heard of by those that run', async () => {
    const [one, two] = [await service(), await service()]
    expect(await resolved(one, 'p1@a p1@b')).toEqual(['a', 'a'])
    expect(await resolved(two, 'p1@b p1@c p2@c')).toEqual(['a', 'a', 'a'])
    await one.refresh()
    expect(await resolved(one, '@c')).toEqual(['a'])
    expect(await resolved(await service(), 'p2@a p3@c @b')).toEqual(['a', 'a', 'a'])
  })

  test('is decided for set-aside events as for others, but nothing is learned from them', async () => {
    const setAside = async (identity: RegistryIdentity, text: string, named?: string): Promise<unknown> => {
      const about = { repository: 'team/app' as RepositoryPath, isPull: true, ...sender(text) }
      const { id: eventId } = reported({})
      const event = { id: eventId, unreadable: 'bad_tag', detail: '', excerpt: '{}', about } satisfies UnreadableEvent
      const [resolvedEvent] = await identity.resolve([event], named)
      return (resolvedEvent as UnreadableEvent).about?.registry
    }
    const identity = await service([{ name: 'c', aliases: ['prod'] }], { tokenNames: ['prod'] })
    expect(await resolved(identity, 'p1@a')).toEqual(['a'])
    const registries = []
    for (const text of ['p1@b', 'p2@a', '@a', '@x', '']) registries.push(await setAside(identity, text))
    expect(registries).toEqual(['a', 'a', 'a', 'x', 'unknown'])
    expect(await setAside(identity, 'p3')).toMatch(/^unknown@/)
    expect(await setAside(identity, 'p1@a', 'prod')).toBe('c')
    expect(await setAside(await service([], { setting: 'host' }), 'p1@b')).toBe('b')
    expect([...identity.learned().hosts.keys(), ...identity.learned().processes.keys()]).toEqual(['a', 'p1'])
  })

  test('costs one transaction if it is new, and none if it is known', async () => {
    const identity = await service()
    await Promise.all([resolved(identity, 'p1@a p1@b p2@c'), resolved(identity, 'p1@a'), resolved(identity, 'p1@a')])
    expect(statements).toBe(1)
    const known = identity.resolve([reported(sender('p1@a')), reported(sender('p2@a')), reported(sender('@x'))])
    expect(known).not.toBeInstanceOf(Promise)
    expect(statements).toBe(1)
  })

  test('senders that arrive while others are learned are learned together', async () => {
    const identity = await service()
    await Promise.all(Array.from({ length: 50 }, async (_, i) => resolved(identity, `p${i}@h${i}`)))
    expect(statements).toBe(1)
  })

  test('nothing is resolved, and nothing remembered, if it cannot be stored', async () => {
    const identity = await service()
    await sql`alter table registry_processes rename to elsewhere`.execute(stores.database.sql)
    try {
      await expect(resolved(identity, 'p1@a')).rejects.toThrow()
    } finally {
      await sql`alter table elsewhere rename to registry_processes`.execute(stores.database.sql)
    }
    expect(await resolved(identity, 'p1@b')).toEqual(['b'])
  })

  test('a named token decides, whatever the event says, and nothing is learned from it', async () => {
    const identity = await service([{ name: 'c', aliases: ['prod'] }], { tokenNames: ['prod', 'test'] })
    expect(await resolved(identity, 'p1@localhost:5000 @x  p1', 'test')).toEqual(['test', 'test', 'test', 'test'])
    expect(await resolved(identity, 'p2@localhost:5000', 'prod')).toEqual(['c'])
    expect(statements).toBe(0)
  })

  test('a registry takes the name of a token that is one of its hosts', async () => {
    await resolved(await service(), 'p1@localhost:5000 p1@registry.example')
    const named = await service([], { tokenNames: ['registry.example'] })
    expect([...named.registries.aliases()]).toEqual([['localhost:5000', 'registry.example']])
  })

  test('by host is what it was before: the host through the aliases of the configuration', async () => {
    await resolved(await service(), 'p1@x p1@y')
    const identity = await service([{ name: 'a', aliases: ['b'] }], { setting: 'host' })
    expect(await resolved(identity, 'p1@a p1@b p1@y p1 ')).toEqual(['a', 'a', 'y', 'unknown', 'unknown'])
    expect([...identity.registries.aliases()]).toEqual([['b', 'a']])
  })

  test('the aliases contain all names with data to move: hosts, provisional names, and renames of the configuration', async () => {
    await resolved(await service(), 'p1 p1@a p1@b p2@x p2@y')
    const identity = await service([{ name: 'c', aliases: ['y'] }])
    const [provisional] = await resolved(await service(), 'p9')
    expect(Object.fromEntries(identity.registries.aliases())).toEqual({
      [(await sql<{ host: string }>`select host from registry_hosts where host like '%@%'`.execute(stores.database.sql))
        .rows[0]?.host ?? '']: 'a',
      b: 'a',
      x: 'c',
      y: 'c',
    })
    expect(provisional).toMatch(/^unknown@/)
    expect(identity.registries.nameOf('x')).toBe('c')
    expect(identity.registries.nameOf('never heard')).toBe('never heard')
  })

  describe('conflicts', () => {
    const conflicts = async (identity: RegistryIdentity): Promise<unknown[]> =>
      (await readConflicts({ database: stores.database, identity, now })).map(
        ({ registry, other, host, events, remedy }) => [registry, other, host, events, remedy],
      )

    test('are counted with what joins both, until they are joined', async () => {
      const identity = await service()
      await resolved(identity, 'p1@a p2@b p2@c')
      await resolved(identity, 'p1@b p1@b p1@c')
      await identity.flush()
      clock = new Date('2026-11-21T12:01:00Z')
      await resolved(identity, 'p1@b')
      await identity.flush()
      expect(await conflicts(identity)).toEqual([
        ['a', 'b', 'b', 3, 'tallyman registries join a b'],
        ['a', 'b', 'c', 1, 'tallyman registries join a b'],
      ])
      await joinRegistries({ database: stores.database, identity }, { from: 'a', into: 'b', dryRun: false })
      expect(await conflicts(identity)).toEqual([])
      expect(await resolved(identity, 'p1@a p1@b')).toEqual(['b', 'b'])
    })

    test('have the times of their events, and make no other registry heard', async () => {
      const identity = await service()
      const times = ['12:00:00', '12:02:00', '12:05:00'].map((time) => new Date(`2026-11-21T${time}Z`))
      await sql`insert into receptions values ('b', now(), ${times[0]}, 1), ('a', now(), ${times[2]}, 2)`.execute(
        stores.database.sql,
      )
      const [first, second, third] = times as [Date, Date, Date]
      for (const [at, senders] of [
        [first, 'p1@a p2@b'],
        [second, 'p1@b'],
        [third, 'p1@b'],
      ] as const) {
        clock = at
        await resolved(identity, senders)
      }
      clock = new Date('2026-11-21T12:30:00Z')
      await identity.flush()
      expect(await readConflicts({ database: stores.database, identity, now })).toMatchObject([
        { registry: 'a', other: 'b', firstAt: second, lastAt: third, events: 2 },
      ])
      expect(await listRegistries({ database: stores.database, identity, tokenNames: [] })).toMatchObject([
        { name: 'a', lastHeardAt: third },
        { name: 'b', lastHeardAt: first },
      ])
    })

    test('of registries that the configuration names are joined there', async () => {
      const identity = await service([
        { name: 'a', aliases: [] },
        { name: 'b', aliases: [] },
      ])
      await resolved(identity, 'p1@a p2@b p3@c p1@b p1@c')
      await identity.flush()
      expect(await conflicts(identity)).toEqual([
        ['a', 'b', 'b', 1, 'registries: { a: [b] }'],
        ['a', 'c', 'c', 1, 'tallyman registries join c a'],
      ])
    })

    test('are open for seven days', async () => {
      const identity = await service()
      await resolved(identity, 'p1@a p2@b p1@b')
      await identity.flush()
      clock = new Date('2026-11-29T12:00:00Z')
      expect(await conflicts(identity)).toEqual([])
    })
  })

  describe('registries that exist although no process of them was heard', () => {
    /** Stores something under a name, as events without a process, with a named token, or by host do. */
    const record = async (name: string): Promise<void> => {
      await sql`
        insert into inventory.repositories (registry, name, first_seen_at, last_seen_at)
        values (${name}, 'x', ${clock}, ${clock})
      `.execute(stores.database.sql)
    }
    const openConflicts = async (identity: RegistryIdentity): Promise<unknown> => {
      await identity.flush()
      const found = await readConflicts({ database: stores.database, identity, now })
      return found.map(({ registry, other, remedy }) => [registry, other, remedy])
    }

    test('do not join by a host that a client wrote: it is a conflict, at every service', async () => {
      const [one, two] = [await service(), await service()]
      expect(await resolved(one, '@b')).toEqual(['b'])
      await record('b')
      expect(await resolved(one, 'p1@a p1@b')).toEqual(['a', 'a'])
      expect(await resolved(one, '@b p9@b')).toEqual(['b', 'b'])
      await two.refresh()
      statements = 0
      expect(await resolved(two, 'p1@b @b')).toEqual(['a', 'b'])
      expect(statements).toBe(0)
      expect(Object.fromEntries(one.registries.aliases())).toEqual({})
      expect(await openConflicts(one)).toEqual([['a', 'b', 'tallyman registries join a b']])
    })

    test('do not join by a host that arrives in one envelope with the first event of a process', async () => {
      await record('b')
      expect(await resolved(await service(), 'p1@a p1@b p1@c @b @c')).toEqual(['a', 'a', 'a', 'b', 'a'])
    })

    test('are joined by a new process that reports them first', async () => {
      await record('b')
      expect(await resolved(await service(), 'p1@b p1@a p2@a @b')).toEqual(['b', 'b', 'b', 'b'])
    })

    test.each(['c', 'd'])('keep the name that the configuration gives to %s', async (host) => {
      const identity = await service([{ name: 'c', aliases: ['d'] }])
      await record('c')
      expect(await resolved(identity, `p1@a p1@${host} @${host}`)).toEqual(['a', 'a', 'c'])
      expect(await openConflicts(identity)).toEqual([['a', 'c', 'tallyman registries join a c']])
    })

    test('keep the name that a token gives to them', async () => {
      const identity = await service([], { tokenNames: ['named'] })
      await resolved(identity, 'p7@localhost', 'named')
      await record('named')
      expect(await resolved(identity, 'p1@a p1@named')).toEqual(['a', 'a'])
    })

    test.each(['c', 'd', 'named'])('exist as the operator names them, also before %s is heard', async (host) => {
      const configured: Registry[] = [{ name: 'c', aliases: ['d'], url: 'https://c' }]
      const identity = await service(configured, { tokenNames: ['named'] })
      const name = host === 'd' ? 'c' : host
      expect(await resolved(identity, `p1@a p1@${host} p1@a @a`)).toEqual(['a', 'a', 'a', 'a'])
      expect(await resolved(identity, `p2@${host} p2@x @${host} p1@x`)).toEqual([name, name, name, 'a'])
      expect(Object.fromEntries(identity.registries.aliases())).toEqual({ d: 'c', x: name })
      expect(await openConflicts(identity)).toContainEqual(['a', name, `tallyman registries join a ${name}`])
    })

    test('are joined to a name that was not heard yet when the configuration lists a host', async () => {
      const configured: Registry[] = [{ name: 'c', aliases: [] }]
      const identity = await service(configured)
      expect(await resolved(identity, 'p1@a p1@c')).toEqual(['a', 'a'])
      configured[0] = { name: 'c', aliases: ['a'] }
      identity.registries.reload()
      expect(await resolved(identity, 'p1@a p1@c @a')).toEqual(['c', 'c', 'c'])
      expect(await openConflicts(identity)).toEqual([])
    })

    test('do not include registries of which only counters were imported', async () => {
      await sql`
        insert into repositories (registry, name, first_at, first_event, if_first, if_known)
        values ('b', 'x', ${clock}, gen_random_uuid(), '[]', '[]')
      `.execute(stores.database.sql)
      const identity = await service()
      expect(await resolved(identity, 'p1@a p1@b')).toEqual(['a', 'a'])
      expect(Object.fromEntries(identity.registries.aliases())).toEqual({ b: 'a' })
    })

    test('are joined when an operator says so', async () => {
      const identity = await service()
      await record('b')
      await resolved(identity, 'p1@a p1@b')
      await joinRegistries({ database: stores.database, identity }, { from: 'b', into: 'a', dryRun: false })
      expect(await resolved(identity, '@b p2@b')).toEqual(['a', 'a'])
      expect(await openConflicts(identity)).toEqual([])
    })
  })

  describe('when the setting changes from host to process', () => {
    test('hosts of one process are one registry, and registries that are quiet by then exist', async () => {
      const byHost = await service([], { setting: 'host' })
      expect(await resolved(byHost, 'p1@a p1@b p2@c @d p1@b')).toEqual(['a', 'b', 'c', 'd', 'b'])
      expect(Object.fromEntries(byHost.registries.aliases())).toEqual({})
      for (const name of ['a', 'b', 'c', 'd'])
        await sql`insert into receptions values (${name}, ${clock}, ${clock}, 1)`.execute(stores.database.sql)
      const listed = await listRegistries({ database: stores.database, identity: byHost, tokenNames: [] })
      expect(listed.map(({ name, identifiedBy }) => [name, identifiedBy]).sort()).toEqual(
        ['a', 'b', 'c', 'd'].map((name) => [name, 'host']),
      )
      const byProcess = await service()
      expect(Object.fromEntries(byProcess.registries.aliases())).toEqual({ b: 'a' })
      expect(await resolved(byProcess, 'p1@b p1@c p1@d @d p2@c')).toEqual(['a', 'a', 'a', 'd', 'c'])
    })

    test('hosts with data from before are registries until they are joined', async () => {
      for (const name of ['a', 'b'])
        await sql`insert into receptions values (${name}, ${clock}, ${clock}, 1)`.execute(stores.database.sql)
      const identity = await service()
      expect(await resolved(identity, 'p1@a p1@b @b')).toEqual(['a', 'a', 'b'])
    })
  })

  test('events without host and process are joined to a registry like the events of a host', async () => {
    const identity = await service()
    await resolved(identity, 'p1@a ')
    await sql`insert into receptions values ('unknown', ${clock}, ${clock}, 1)`.execute(stores.database.sql)
    await joinRegistries({ database: stores.database, identity }, { from: 'unknown', into: 'a', dryRun: false })
    const [, noSender] = await identity.resolve([reported(sender('p1@a')), reported({})])
    expect((noSender as RegistryEvent).registry).toBe('a')
    expect(Object.fromEntries(identity.registries.aliases())).toEqual({ unknown: 'a' })
  })

  describe('joining', () => {
    const join = async (identity: RegistryIdentity, from: string, into: string, dryRun = false): Promise<object> =>
      joinRegistries({ database: stores.database, identity }, { from, into, dryRun })

    test('makes one an alias of the other, with hosts and processes, for every service', async () => {
      const [one, two] = [await service(), await service()]
      await resolved(one, 'p1@a p1@b p2@x p2@y p3@y')
      await two.refresh()
      expect(await join(one, 'a', 'x', true)).toMatchObject({ dryRun: true, hosts: ['a', 'b'], processes: 1 })
      expect(await resolved(one, 'p1@a')).toEqual(['a'])
      expect(await join(one, 'A', 'y')).toEqual({
        from: 'a',
        into: 'x',
        dryRun: false,
        hosts: ['a', 'b'],
        processes: 1,
        repositories: 0,
        inBoth: 0,
      })
      await two.refresh()
      for (const identity of [one, two, await service()]) {
        expect(await resolved(identity, 'p1@a p1@x @b p2@a')).toEqual(['x', 'x', 'x', 'x'])
        expect(Object.fromEntries(identity.registries.aliases())).toEqual({ a: 'x', b: 'x', y: 'x' })
      }
    })

    test('takes a registry of which only data is known', async () => {
      await sql`insert into receptions values ('old', now(), now(), 1), ('new', now(), now(), 1)`.execute(
        stores.database.sql,
      )
      const identity = await service()
      await join(identity, 'old', 'new')
      expect(await resolved(identity, '@old p1@old')).toEqual(['new', 'new'])
    })

    test.each([
      ['a', 'a', 'one registry already'],
      ['a', 'nowhere', 'nowhere is an unknown registry'],
      ['nowhere', 'a', 'nowhere is an unknown registry'],
      ['b', 'x', 'b is a host of the registry a: join a'],
      [
        'c',
        'a',
        'the configuration names c, and decides: name it there as an alias, for example registries: { a: [c] }, or join a into c',
      ],
    ])('%s into %s is refused', async (from, into, message) => {
      const identity = await service([{ name: 'c', aliases: [] }])
      await resolved(identity, 'p1@a p1@b p2@x')
      const refused = join(identity, from, into)
      await expect(refused).rejects.toThrow(JoinRefused)
      await expect(refused).rejects.toThrow(message)
    })

    test('of a registry that only the name of a token is, is refused with the advice to correct that name first', async () => {
      const identity = await service([{ name: 'c', aliases: [] }], { tokenNames: ['typo'] })
      await expect(join(identity, 'typo', 'c')).rejects.toThrow(
        'a token in notification_tokens has the name typo: if that is a typo, correct it there and restart Tallyman, then join; ' +
          'else name it as an alias, for example registries: { c: [typo] }',
      )
    })

    test('is refused where the host decides, with the setting that does it', async () => {
      await expect(join(await service([], { setting: 'host' }), 'a', 'b')).rejects.toThrow('registries: { b: [a] }')
    })
  })

  test('registries are listed with hosts, processes, when they were heard, and how each is identified', async () => {
    const identity = await service([{ name: 'c', aliases: ['d'] }], { tokenNames: ['t'] })
    await resolved(identity, 'p1@a p1@b p2@a')
    clock = new Date('2026-11-21T12:05:00Z')
    await resolved(identity, 'p1@b')
    await identity.flush()
    await sql`insert into receptions values ('a', now(), ${clock}, 4), ('h', now(), ${clock}, 1)`.execute(
      stores.database.sql,
    )
    const at = (time: string): Date => new Date(`2026-11-21T${time}Z`)
    const never = { firstHeardAt: null, lastHeardAt: null, events: 0, processes: 0 }
    expect(await listRegistries({ database: stores.database, identity, tokenNames: ['t'] })).toEqual([
      {
        name: 'a',
        identifiedBy: 'process',
        hosts: ['a', 'b'],
        hostCount: 2,
        processes: 2,
        events: 4,
        firstHeardAt: at('12:00:00'),
        lastHeardAt: at('12:05:00'),
      },
      { ...never, name: 'h', identifiedBy: 'host', hosts: [], hostCount: 0, events: 1, lastHeardAt: at('12:05:00') },
      { ...never, name: 'c', identifiedBy: 'configuration', hosts: ['c', 'd'], hostCount: 2 },
      { ...never, name: 't', identifiedBy: 'token', hosts: [], hostCount: 0 },
    ])
  })

  test('a process that was not heard for 90 days is forgotten, its hosts are not', async () => {
    const identity = await service()
    await resolved(identity, 'p1@a p1@b p2@x')
    await identity.flush()
    clock = new Date('2027-02-21T12:00:00Z')
    await resolved(identity, 'p2@x')
    await identity.flush()
    await identity.expire()
    expect([...identity.learned().processes.keys()]).toEqual(['p2'])
    expect(await resolved(identity, 'p1@b')).toEqual(['a'])
  })

  test('what one service forgets, the others forget with the next refresh', async () => {
    const [one, two] = [await service(), await service()]
    await resolved(one, 'p1@a p1@b p2@x')
    await two.refresh()
    clock = new Date('2027-02-21T12:00:00Z')
    await resolved(two, 'p2@x p3@a')
    await two.flush()
    await one.expire()
    expect([...one.learned().processes.keys()].sort()).toEqual(['p2', 'p3'])
    await two.refresh()
    expect([...two.learned().processes.keys()].sort()).toEqual(['p2', 'p3'])
    expect([...two.learned().hosts]).toEqual([...one.learned().hosts])
    // Also what learns before it has refreshed.
    const three = await service()
    clock = new Date('2027-06-21T12:00:00Z')
    await one.expire()
    await resolved(three, 'p4@a')
    expect([...three.learned().processes.keys()]).toEqual(['p4'])
  })

  test('of a full registry, hosts that were heard once and not for days make room; others stay', async () => {
    const configured: Registry[] = []
    const identity = await service(configured)
    await resolved(identity, 'p1@a p2@j p1@named p1@regular')
    await joinRegistries({ database: stores.database, identity }, { from: 'j', into: 'a', dryRun: false })
    const invented = Array.from({ length: MOST_HOSTS_OF_REGISTRY }, (_, i) => `p1@evil-${i}.example`)
    await resolved(identity, invented.join(' '))
    await identity.flush()
    expect(identity.learned().fullRegistries()).toEqual(['a'])
    clock = new Date('2026-11-22T12:00:00Z')
    await resolved(identity, 'p1@regular')
    await identity.flush()
    await identity.expire()
    expect(await resolved(identity, 'p1@real p9@real')).toEqual(['a', 'real'])
    configured.push({ name: 'named', aliases: ['a'] })
    identity.registries.reload()
    clock = new Date('2026-11-25T12:00:00Z')
    await identity.expire()
    expect([...identity.learned().hosts.keys()].sort()).toEqual(['a', 'j', 'named', 'real', 'regular'])
    expect(identity.learned().fullRegistries()).toEqual([])
    expect(await resolved(identity, 'p1@inner p8@inner')).toEqual(['named', 'named'])
  })

  test('hosts that clients invent fill nothing: their events are of the registry of the process', async () => {
    const identity = await service()
    const invented = Array.from({ length: 3_000 }, (_, i) => `p1@evil-${i}.example`)
    expect(new Set(await resolved(identity, ['p1@a', ...invented].join(' ')))).toEqual(new Set(['a']))
    expect(statements).toBe(1)
    expect(new Set(await resolved(identity, invented.join(' ')))).toEqual(new Set(['a']))
    expect(statements).toBe(1)
    const { rows } = await sql<{ count: string }>`select count(*) from registry_hosts`.execute(stores.database.sql)
    expect(rows).toEqual([{ count: '1000' }])
  })

  test('a process is one registry, at two services at once, in whatever order they hear of it', async () => {
    const one = fc.record({
      service: fc.nat(1),
      senders: fc.array(fc.tuple(fc.constantFrom('p1', 'p2', 'p3', 'p4'), fc.constantFrom('a', 'b', 'c', 'd')), {
        minLength: 1,
        maxLength: 4,
      }),
      refresh: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(one, { minLength: 1, maxLength: 20 }), async (envelopes) => {
        await stores.clear()
        const services = [await service(), await service()]
        const seen = new Map<string, Set<string>>()
        await Promise.all(
          services.map(async (identity, lane) => {
            for (const { service: at, senders, refresh } of envelopes) {
              if (at !== lane) continue
              if (refresh) await identity.refresh()
              const names = await resolved(identity, senders.map(([instance, host]) => `${instance}@${host}`).join(' '))
              names.forEach((name, i) => {
                const instance = senders[i]?.[0] ?? ''
                seen.set(instance, (seen.get(instance) ?? new Set()).add(name))
              })
            }
          }),
        )
        const { rows } = await sql<{ instance: string; registry: string }>`
          select instance, registry from registry_processes
        `.execute(stores.database.sql)
        const stored = new Map(rows.map(({ instance, registry }) => [instance, new Set([registry])]))
        expect(seen).toEqual(stored)
      }),
      runs(40),
    )
  })
})
