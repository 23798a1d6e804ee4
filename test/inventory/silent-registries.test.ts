import { beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { blob, useAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const daysAgo = (days: number): Date => new Date(NOW.getTime() - days * 86_400_000)
const OLD = '2026-01-10T10:00:00Z'

/** An unused tag, a manifest without a tag, and a blob without a manifest. */
const pushes = (registry: string): Wanted[] => {
  const part = (name: string, mediaType: string) => ({ digest: digestOf(name), mediaType, size: 10 })
  const references = [part('c', OCI_CONFIG), part('l', 'application/vnd.oci.image.layer.v1.tar+gzip')]
  const image: Wanted = { object: 'manifest', mediaType: OCI_IMAGE, size: 500, references, at: OLD, registry }
  return [
    { ...image, digest: digestOf(`${registry} 1`), tag: 'v1' },
    { ...image, digest: digestOf(`${registry} 2`) },
    blob(`${registry} 3`, { at: OLD, registry }),
  ]
}

describe.each(STORE_PAIRS)('of a registry without recent events, on %s', (_, open) => {
  const { stores, asking } = useAsking(open, NOW)
  beforeEach(async () => {
    await asking.ingest(...pushes('a.example'), ...pushes('b.example'))
    await asking.summary()
  })
  const day = (days: number): number => Math.floor(daysAgo(days).getTime() / 86_400_000)
  /** Sets on which days before now something was heard, the newest first: each from one to another. */
  const heardOn = async (
    registry: string,
    column: 'heard_on' | 'pulls_on',
    ...spans: [from: number, to: number][]
  ): Promise<void> => {
    const days = `{${spans.map(([from, to]) => `[${day(from)},${day(to) + 1})`).join()}}`
    await sql`
      update receptions set ${sql.ref(column)} = ${days}::int4multirange where registry = ${registry}
    `.execute(stores.database.sql)
  }
  const heard = async (registry: string, at: Date | undefined): Promise<void> => {
    const { sql: db } = stores.database
    if (at)
      await sql`
        update receptions set last_received_at = ${at}, last_event_at = ${at}, last_pull_at = ${at} where registry = ${registry}
      `.execute(db)
    else await sql`delete from receptions where registry = ${registry}`.execute(db)
  }
  const QUESTIONS = [
    ['unused-images', { unused_for: '90d' }],
    ['last-used', { unused_for: '90d' }],
    ['untagged-manifests', {}],
    ['orphaned-blobs', {}],
  ] as const

  test.each(QUESTIONS)('%s offers nothing, and says so', async (question, parameters) => {
    const registriesOf = async (more: object = {}): Promise<[unknown[], string]> => {
      const { items, notes = [] } = await asking.answer(question, { ...parameters, ...more })
      return [items.map(({ registry }) => registry).sort(), notes.join('; ')]
    }
    expect(await registriesOf()).toEqual([['a.example', 'b.example'], expect.not.stringContaining('no event of')])
    await heard('a.example', daysAgo(6))
    expect(await registriesOf()).toEqual([
      ['a.example', 'b.example'],
      expect.stringContaining('no event of a.example arrived since 2026-11-21T12:00:00.000000Z: if its notifications'),
    ])
    await heard('a.example', daysAgo(8))
    const silent = expect.stringContaining(
      'no event of a.example arrived since 2026-11-19T12:00:00.000000Z: its uses since then are unknown',
    )
    expect(await registriesOf()).toEqual([['b.example'], silent])
    expect(await registriesOf({ registry: 'a.example' })).toEqual([[], silent])
    expect(await registriesOf({ registry: 'a.example', repository: 'team/app' })).toEqual([[], silent])
    expect(await registriesOf({ registry: 'b.example' })).toEqual([
      ['b.example'],
      expect.not.stringContaining('no event of'),
    ])
    await heard('b.example', undefined)
    expect(await registriesOf()).toEqual([
      [],
      expect.stringContaining('no event of b.example ever arrived: its uses are unknown'),
    ])
  })

  test('nothing is offered as unused for a shorter time than that', async () => {
    await heard('a.example', daysAgo(3))
    const { items } = await asking.answer('unused-images', { unused_for: '2d' })
    expect(items.map(({ registry }) => registry)).toEqual(['b.example'])
  })

  test('nothing is offered of one that was heard with a clock that was ahead, until it is heard again', async () => {
    await heard('a.example', daysAgo(-60))
    const offered = async (): Promise<unknown[]> =>
      (await asking.items('unused-images', { unused_for: '90d' })).map(({ registry }) => registry).sort()
    expect(await offered()).toEqual(['b.example'])
    await asking.ingest(blob('heard', { registry: 'a.example' }))
    expect(await offered()).toEqual(['a.example', 'b.example'])
  })

  const offered = async (question: string, parameters: object = {}): Promise<unknown[]> =>
    (await asking.items(question, parameters)).map(({ registry }) => registry).sort()
  const notesOf = async (question: string, parameters: object = {}): Promise<string> => {
    const { notes = [] } = await asking.answer(question, parameters)
    return notes.join('; ')
  }
  const BOTH = ['a.example', 'b.example']
  const OF_USES = ['unused-images', 'last-used', 'untagged-manifests'] as const

  test.each(['heard_on', 'pulls_on'] as const)(
    'after a gap in %s, nothing is offered as unused until the registry has sent events for as long',
    async (column) => {
      for (const question of OF_USES) {
        await heardOn('a.example', column, [400, 26], [9, 0])
        if (column === 'heard_on')
          await sql`update inventory.repositories set reconciled_at = ${NOW}`.execute(stores.database.sql)
        expect(await offered(question, { unused_for: '30d' })).toEqual(['b.example'])
        expect(await notesOf(question, { unused_for: '30d' })).toContain(
          `a.example arrived from 2026-11-02T00:00:00.000000Z to 2026-11-18T00:00:00.000000Z: its uses in that time are unknown`,
        )
        // The gap is before the time that was asked for.
        expect(await offered(question, { unused_for: '9d' })).toEqual(BOTH)
        await heardOn('a.example', column, [400, 26], [13, 0])
        expect(await offered(question, { unused_for: '30d' })).toEqual(BOTH)
        // A short one between them does not end the protection of the long one, nor does its time count as heard.
        await heardOn('a.example', column, [400, 90], [29, 16], [8, 0])
        expect(await offered(question, { unused_for: '90d' })).toEqual(['b.example'])
      }
    },
  )

  test('a registry that reports pushes and no pulls is not one that nobody uses', async () => {
    await sql`update receptions set last_pull_at = null, pulls_on = '{}' where registry = 'a.example'`.execute(
      stores.database.sql,
    )
    for (const question of OF_USES) {
      expect(await offered(question, { unused_for: '90d' })).toEqual(['b.example'])
      expect(await notesOf(question, { unused_for: '90d' })).toContain(
        'no pull of a.example was ever reported: its uses are unknown, so this answer leaves out the registry; if its notifications exclude pulls (ignore.actions)',
      )
    }
    expect(await offered('untagged-manifests')).toEqual(['b.example'])
    expect(await offered('orphaned-blobs')).toEqual(BOTH)
    await sql`update receptions set last_pull_at = ${daysAgo(8)} where registry = 'a.example'`.execute(
      stores.database.sql,
    )
    expect(await notesOf('unused-images', { unused_for: '90d' })).toContain(
      'no pull of a.example was reported since 2026-11-19',
    )
  })

  test('what was not heard before the first event is not unused', async () => {
    await heardOn('a.example', 'heard_on', [20, 0])
    expect(await offered('unused-images', { unused_for: '21d' })).toEqual(['b.example'])
    expect(await notesOf('unused-images', { unused_for: '21d' })).toContain(
      'no event of a.example arrived before 2026-11-07T00:00:00.000000Z: its uses in that time are unknown',
    )
    expect(await offered('unused-images', { unused_for: '20d' })).toEqual(BOTH)
  })

  test.each(['heard_on', 'pulls_on'] as const)(
    'without days in %s, nothing was heard before the newest time',
    async (column) => {
      await heardOn('a.example', column)
      await heard('a.example', daysAgo(3))
      expect(await offered('unused-images', { unused_for: '30d' })).toEqual(['b.example'])
      expect(await notesOf('unused-images', { unused_for: '30d' })).toContain(
        'a.example arrived before 2026-11-24T12:00:00.000000Z: its uses in that time are unknown',
      )
      expect(await offered('unused-images', { unused_for: '2d' })).toEqual(['b.example'])
    },
  )

  test('for a short time, a gap of half of it is too long', async () => {
    await heardOn('a.example', 'heard_on', [400, 6], [2, 0])
    expect(await offered('unused-images', { unused_for: '6d' })).toEqual(['b.example'])
    expect(await offered('unused-images', { unused_for: '30d' })).toEqual(BOTH)
  })

  test('after a gap, nothing is offered as unreferenced in repositories that were not stored since', async () => {
    const reconciled = async (at: Date | null): Promise<void> => {
      await sql`update inventory.repositories set reconciled_at = ${at} where registry = 'a.example'`.execute(
        stores.database.sql,
      )
    }
    await heardOn('a.example', 'heard_on', [400, 60], [40, 0])
    for (const question of ['untagged-manifests', 'orphaned-blobs']) {
      for (const at of [null, daysAgo(41)]) {
        await reconciled(at)
        expect(await offered(question)).toEqual(['b.example'])
        expect(await notesOf(question)).toContain(
          'so this answer leaves out its repositories until they are reconciled',
        )
      }
      await reconciled(daysAgo(39))
      expect(await offered(question)).toEqual(BOTH)
      expect(await notesOf(question)).not.toContain('no event of')
    }
    // A run that could not read a repository leaves it as it was.
    await asking.ingest({ ...blob('other', { at: OLD, registry: 'a.example' }), repository: 'team/other' })
    await asking.summary()
    await heardOn('a.example', 'heard_on', [400, 60], [40, 0])
    const repositories = (await asking.items('orphaned-blobs')).map(
      ({ registry, repository }) => `${registry}/${repository}`,
    )
    expect(repositories.sort()).toEqual(['a.example/team/app', 'b.example/team/app'])
  })

  test('nothing is offered as unreferenced while delayed events arrive', async () => {
    const late = async (at: Date): Promise<unknown> =>
      sql`update receptions set late_at = ${at} where registry = 'a.example'`.execute(stores.database.sql)
    await late(daysAgo(0.9))
    for (const question of ['untagged-manifests', 'orphaned-blobs']) {
      expect(await offered(question)).toEqual(['b.example'])
      expect(await notesOf(question)).toContain(
        'events of a.example arrived more than twelve hours late, the last at 2026-11-26',
      )
    }
    expect(await offered('unused-images', { unused_for: '90d' })).toEqual(BOTH)
    await late(daysAgo(1.1))
    for (const question of ['untagged-manifests', 'orphaned-blobs']) expect(await offered(question)).toEqual(BOTH)
  })

  test('half of a push is not offered as unreferenced while the other half may be in a queue of the registry', async () => {
    const [, manifest, layer] = pushes('a.example').map((wanted) => ({ ...wanted, repository: 'team/new' }))
    const pushedAt = daysAgo(2.5).toISOString()
    await asking.ingest({ ...manifest, at: pushedAt }, { ...layer, at: pushedAt })
    const found = async (): Promise<unknown[]> => {
      await asking.summary()
      const items = [...(await asking.items('untagged-manifests')), ...(await asking.items('orphaned-blobs'))]
      return items.map(({ repository }) => repository).filter((name) => name === 'team/new')
    }
    // Since then Tallyman did not take events: the newest one of the registry is of that time.
    await heard('a.example', daysAgo(2.4))
    expect(await found()).toEqual([])
    await heard('a.example', daysAgo(1.4))
    expect(await found()).toEqual(['team/new', 'team/new'])
  })

  test('what does not offer anything is answered', async () => {
    await heard('a.example', undefined)
    await heard('b.example', undefined)
    for (const question of ['images', 'last-used', 'blobs', 'manifests'])
      expect((await asking.items(question)).length).toBeGreaterThan(1)
  })
})
