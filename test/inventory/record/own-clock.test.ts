import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { isoTime, microsOf } from '../../../src/events/calendar.js'
import type { RepositoryPath } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import type { Ingest } from '../../../src/ingest/ingest.js'
import { createNewestTime } from '../../../src/inventory/model/newest-time.js'
import { carryOutRenames } from '../../../src/inventory/record/renames.js'
import { createArrivals } from '../../../src/inventory/record/state-times.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { inventoryOf } from '../../servers/inventory.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { digestNamed } from '../../servers/stub-registry.js'
import { runs } from '../../servers/runs.js'

const START = Date.parse('2026-11-18T10:00:00Z')
const MINUTE = 60
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR
const IMAGE = 'application/vnd.oci.image.manifest.v1+json'

describe.each(STORE_PAIRS)('a service whose own clock is wrong, on %s', (_, open) => {
  let stores: TestStores
  /** Seconds since START, by a clock that is right. */
  let seconds: number
  /** By how many seconds the clocks of two services are ahead; negative if they are behind. */
  let offsets: [number, number]
  let one: Ingest
  let other: Ingest
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  const start = (service: 0 | 1): Ingest =>
    createCounting(
      stores,
      () => new Date(START + (seconds + offsets[service]) * 1000),
      undefined,
      undefined,
      () => seconds * 1000,
    )
  const reset = async (): Promise<void> => {
    await stores.clear()
    seconds = 0
    offsets = [0, 0]
    one = start(0)
    other = start(1)
  }
  beforeEach(reset)

  const at = (offset: number): string => isoTime(microsOf(new Date(START + offset * 1000)))
  const path = (name: string): RepositoryPath => name as RepositoryPath
  const from = (instance: string) => (instance === '' ? {} : { instance })
  const push = (id: number, offset: number, digest = 'a1', instance = 'one', repository = 'team/app'): RegistryEvent =>
    anEvent({
      ...{ id, action: 'push', at: at(offset), ...from(instance), repository, tag: '1.0' },
      ...{ object: 'manifest', mediaType: IMAGE, digest: digestNamed(digest) },
    })
  const remove = (id: number, offset: number, instance = 'one'): RegistryEvent =>
    anEvent({ id, action: 'delete', at: at(offset), ...from(instance), repository: 'team/app', tag: '1.0' })
  const liveTags = async (): Promise<string[]> =>
    (
      await sql<{ name: string; digest: string }>`
        select repository as name, digest from inventory.live_tags order by 1, 2
      `.execute(stores.database.sql)
    ).rows.map(({ digest }) => digest.slice(-2))

  test.each(['one', 'two', ''])(
    'a push after the clock was set back wins over an earlier push (process: "%s")',
    async (instance) => {
      await one.ingest([push(1, 0, 'cc', instance === '' ? '' : 'one')])
      offsets = [-5 * HOUR, 0]
      seconds = MINUTE
      await one.ingest([push(2, seconds, 'dd', instance)])
      expect(await liveTags()).toEqual(['dd'])
      offsets = [0, 0]
      seconds = HOUR
      await one.ingest([push(3, seconds, 'ee', instance)])
      expect(await liveTags()).toEqual(['ee'])
    },
  )

  test('a push after the clock was set back wins over an earlier delete, and a delete over that push', async () => {
    await one.ingest([push(1, -10, 'cc')])
    await one.ingest([remove(2, 0)])
    offsets = [-5 * HOUR, 0]
    seconds = MINUTE
    await one.ingest([push(3, seconds, 'dd')])
    expect(await liveTags()).toEqual(['dd'])
    seconds = 2 * MINUTE
    await one.ingest([remove(4, seconds)])
    expect(await liveTags()).toEqual([])
  })

  test.each([-2, -5 * HOUR])('a second service whose clock is %i s off keeps the order of arrival', async (skew) => {
    offsets = [0, skew]
    await one.ingest([push(1, 0, 'cc')])
    seconds = 1
    await other.ingest([push(2, seconds, 'dd', 'two')])
    expect(await liveTags()).toEqual(['dd'])
    seconds = 2
    await one.ingest([push(3, seconds, 'ee')])
    seconds = 3
    await other.ingest([remove(4, seconds, 'two')])
    expect(await liveTags()).toEqual([])
  })

  test('a service that starts with a clock that is behind keeps the order of arrival', async () => {
    await one.ingest([push(1, 0, 'cc')])
    offsets = [-20 * HOUR, 0]
    seconds = HOUR
    await start(0).ingest([push(2, seconds, 'dd', 'two')])
    expect(await liveTags()).toEqual(['dd'])
  })

  test('events of one batch keep their order, also if the clock of one process is trusted', async () => {
    await one.ingest([push(1, -HOUR, 'aa', 'one'), push(2, -HOUR, 'bb', 'two')])
    offsets = [-5 * HOUR, 0]
    seconds = 1
    await Promise.all([
      one.ingest([push(3, -6 * HOUR, 'cc', 'three', 'team/other')]),
      one.ingest([push(4, 0, 'dd', 'one')]),
      one.ingest([push(5, 0.5, 'ee', 'two')]),
    ])
    expect(await liveTags()).toEqual(['ee', 'cc'])
  })

  test('repeats change nothing, whatever the clock shows', async () => {
    const events = [push(1, 0, 'cc'), push(2, MINUTE, 'dd'), remove(3, 2 * MINUTE), push(4, 3 * MINUTE, 'ee', 'two')]
    await one.ingest(events.slice(0, 1))
    offsets = [-5 * HOUR, 0]
    seconds = 4 * MINUTE
    for (const event of events.slice(1)) await one.ingest([event])
    const before = await inventoryOf(stores.database)
    expect(await liveTags()).toEqual(['ee'])
    for (const behind of [0, -5 * HOUR, -20 * HOUR, 5 * HOUR]) {
      offsets = [behind, 0]
      for (const service of [one, start(0), other]) {
        for (const event of events) expect(await service.ingest([event])).toEqual(['repeated'])
      }
      expect(await inventoryOf(stores.database)).toEqual(before)
    }
  })

  test('a replay of an old event keeps its own time', async () => {
    await one.ingest([push(1, 0, 'cc')])
    offsets = [-5 * HOUR, 0]
    seconds = MINUTE
    await one.ingest([push(2, -30 * DAY, 'aa'), push(3, -30 * DAY, 'aa', 'two')])
    expect(await liveTags()).toEqual(['cc'])
  })

  test('an event whose batch failed after its time was decided gets that time when it is sent again', async () => {
    await one.ingest([push(1, 0, 'cc')])
    offsets = [-5 * HOUR, 0]
    seconds = MINUTE
    await one.ingest([push(2, seconds, 'dd')])
    const before = await inventoryOf(stores.database)
    await reset()
    await one.ingest([push(1, 0, 'cc')])
    offsets = [-5 * HOUR, 0]
    seconds = MINUTE
    const { database } = stores
    let isDecided = false
    const orFail = async <T>(work: () => Promise<T>): Promise<T> =>
      isDecided ? Promise.reject(new Error('the process ended')) : work()
    const failing = createCounting(
      {
        ...stores,
        database: {
          ...database,
          run: async (statement, ...rest) =>
            orFail(async () => {
              isDecided = statement.name === 'claim_state_times'
              return database.run(statement, ...rest)
            }),
          transaction: async (...given) => orFail(async () => database.transaction(...given)),
        },
      },
      () => new Date(START + (seconds + offsets[0]) * 1000),
    )
    await expect(failing.ingest([push(2, seconds, 'dd')])).rejects.toThrow()
    offsets = [0, 0]
    seconds = HOUR
    expect(await start(0).ingest([push(2, MINUTE, 'dd')])).toEqual(['recorded'])
    expect(await liveTags()).toEqual(['dd'])
    expect(await inventoryOf(database)).toEqual(before)
  })

  test('a rename after the clock was set back moves what was pushed before it', async () => {
    await one.ingest([push(1, 0, 'cc')])
    offsets = [-5 * HOUR, 0]
    seconds = MINUTE
    const rename = { what: 'namespace', from: path('team'), to: path('group') } as const
    const renamed = anEvent({ id: 2, action: 'rename', at: at(seconds), instance: 'two', repository: 'team', rename })
    await one.ingest([renamed])
    seconds = 2 * MINUTE
    await one.ingest([push(3, seconds, 'dd', 'three', 'group/app')])
    await carryOutRenames(stores.database, { since: new Date(START - DAY * 1000) })
    const { rows } = await sql`select repository, digest from inventory.live_tags`.execute(stores.database.sql)
    expect(rows).toEqual([{ repository: 'group/app', digest: digestNamed('dd') }])
  })

  test('the clocks of the service and of the registry were set back together', async () => {
    await one.ingest([push(1, 0, 'cc')])
    offsets = [-5 * HOUR, 0]
    for (const service of [one, start(0)]) {
      seconds += MINUTE
      await service.ingest([push(seconds + 1, seconds - 5 * HOUR, 'dd')])
      expect(await liveTags()).toEqual(['dd'])
      seconds += MINUTE
      await service.ingest([remove(seconds + 1, seconds - 5 * HOUR, 'two')])
      expect(await liveTags()).toEqual([])
    }
  })

  test('a wrong time that is recorded in one repository changes no other repository', async () => {
    await one.ingest([push(1, 0, 'cc', 'one', 'team/future')])
    await sql`update inventory.repositories set last_seen_at = now() + interval '10 years'`.execute(stores.database.sql)
    seconds = MINUTE
    await one.ingest([push(2, seconds + HOUR, 'dd', 'one', 'team/future')])
    await one.ingest([push(3, seconds + HOUR, 'ee')])
    const { rows } = await sql<{ at: Date }>`
      select last_seen_at as at from inventory.repositories where name = 'team/app'
    `.execute(stores.database.sql)
    expect(rows[0]?.at.getTime()).toBeLessThan(START + (seconds + 1) * 1000)
  })

  test('an arrival that waited in the queue for longer than a minute does not win over a later push', async () => {
    const { database } = stores
    let open = (): void => undefined
    let gate = Promise.resolve()
    const delayed = createCounting(
      {
        ...stores,
        database: {
          ...database,
          transaction: async (...given) => gate.then(async () => database.transaction(...given)),
        },
      },
      () => new Date(START + seconds * 1000),
    )
    await delayed.ingest([remove(5, -MINUTE)])
    gate = new Promise<void>((resolve) => (open = resolve))
    const first = delayed.ingest([push(1, 0, 'cc', 'one', 'team/other')])
    await new Promise((resolve) => setTimeout(resolve, 100))
    seconds = 1
    const late = delayed.ingest([push(2, seconds, 'dd', 'two')])
    seconds = 2 * MINUTE
    await other.ingest([push(3, seconds, 'ee', 'three')])
    const last = delayed.ingest([push(4, seconds, 'ff', 'one', 'team/other')])
    await new Promise((resolve) => setTimeout(resolve, 100))
    open()
    await Promise.all([first, late, last])
    expect(await liveTags()).toEqual(['ee', 'ff'])
  })

  test('a service that was ahead once notices within a minute that the recorded time was lowered', async () => {
    const { sql: db } = stores.database
    await one.ingest([push(1, 0, 'cc', 'one', 'team/future')])
    await sql`update inventory.repositories set last_seen_at = ${at(365 * DAY)}::timestamptz`.execute(db)
    const arrive = createArrivals(createNewestTime(stores.database, undefined, () => seconds * 1000))
    const arrivedAt = async (): Promise<unknown> => arrive(new Date(START + seconds * 1000))
    expect(await arrivedAt()).toMatchObject({ isSetBack: true })
    await sql`update inventory.repositories set last_seen_at = ${at(0)}::timestamptz`.execute(db)
    seconds = MINUTE - 1
    expect(await arrivedAt()).toMatchObject({ isSetBack: true })
    seconds = MINUTE
    expect(await arrivedAt()).toMatchObject({ isSetBack: false })
  })

  test('a rename is later than what it moves in the same batch, and what follows it is later than the rename', async () => {
    await one.ingest([push(1, 0, 'cc')])
    offsets = [-5 * HOUR, 0]
    seconds = MINUTE
    const rename = { what: 'namespace', from: path('team'), to: path('group') } as const
    await one.ingest([
      push(2, seconds, 'dd', 'two'),
      push(3, seconds, 'ee', 'two'),
      push(4, seconds, 'ff', 'two', 'team-b/app'),
      anEvent({ id: 5, action: 'rename', at: at(seconds), instance: 'three', repository: 'team', rename }),
      push(6, seconds, 'aa', 'four', 'group/app'),
    ])
    await carryOutRenames(stores.database, { since: new Date(START - DAY * 1000) })
    const { rows } = await sql<{ repository: string; digest: string }>`
      select repository, digest from inventory.live_tags order by 1
    `.execute(stores.database.sql)
    expect(rows).toEqual([
      { repository: 'group/app', digest: digestNamed('aa') },
      { repository: 'team-b/app', digest: digestNamed('ff') },
    ])
  })

  const CHANGES = ['push a1', 'push a2', 'push a3', 'delete']
  const repeats = fc.array(fc.record({ after: fc.nat(30), which: fc.nat(30), service: fc.constantFrom(0, 1) }), {
    maxLength: 4,
  })

  /** Sends changes, 100 s apart, and repeats; at last all of them again. @returns whether the last change won */
  const lastWins = async (
    steps: readonly {
      what: string
      lead?: number
      process?: string
      service?: number
      clock: readonly [number, number]
    }[],
    again: readonly { after: number; which: number; service: number }[],
  ): Promise<void> => {
    await reset()
    const events = steps.map(({ what, lead = 0, process = 'one' }, i) =>
      what === 'delete' ? remove(i + 1, 100 * i + lead, process) : push(i + 1, 100 * i + lead, what.slice(-2), process),
    )
    const send = async (event: RegistryEvent | undefined, service = 0): Promise<unknown> =>
      event && (service === 0 ? one : other).ingest([event])
    for (const [i, { service, clock }] of steps.entries()) {
      seconds = 100 * i + 0.1
      offsets = [...clock]
      await send(events[i], service)
      for (const { after, which, service } of again)
        if (after % events.length === i) await send(events[which % (i + 1)], service)
    }
    for (const behind of [-5 * HOUR, 0]) {
      seconds = 30 * HOUR
      offsets = [behind, 0]
      for (const event of events) await send(event)
    }
    const last = steps.at(-1)?.what ?? ''
    expect(await liveTags()).toEqual(last === 'delete' ? [] : [last.slice(-2)])
  }

  test('the last change wins, whatever the clocks of two services show', async () => {
    const clock = fc.constantFrom(0, 0, -0.7, -2, -MINUTE, -5 * HOUR, -20 * HOUR, 3, 5 * HOUR)
    const step = fc.record({
      what: fc.constantFrom(...CHANGES),
      process: fc.constantFrom('one', 'two', ''),
      service: fc.constantFrom(0, 1),
      clock: fc.tuple(clock, clock),
    })
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 7 }), repeats, lastWins), runs(20))
  })

  test('the last change wins, whatever the clocks of a registry process and of the service show', async () => {
    const step = fc.record({
      what: fc.constantFrom(...CHANGES),
      lead: fc.constantFrom(0, 0, 0.5, 2, 20 * HOUR),
      clock: fc.constantFrom(0, 0, -2, -5 * HOUR, 5 * HOUR).map((offset) => [offset, offset] as const),
    })
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 7 }), repeats, lastWins), runs(20))
  })
})
