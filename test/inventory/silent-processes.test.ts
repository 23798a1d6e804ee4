import { beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { useAsking } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const daysAgo = (days: number): Date => new Date(NOW.getTime() - days * 86_400_000)
const QUESTIONS = [
  ['unused-images', { unused_for: '90d' }],
  ['last-used', { unused_for: '90d' }],
  ['untagged-manifests', {}],
  ['orphaned-blobs', {}],
] as const

describe.each(STORE_PAIRS)('a process of a registry that fell silent, on %s', (_, open) => {
  const { stores, asking } = useAsking(open, NOW)
  beforeEach(async () => {
    await asking.ingest({
      ...{ object: 'manifest', mediaType: OCI_IMAGE, digest: digestOf('1'), tag: 'v1', registry: 'a.example' },
      at: '2026-01-10T10:00:00Z',
    })
    await asking.summary()
  })

  /** @param days when it was first and last heard, in days before now */
  const heard = async (instance: string, [first, last]: [number, number], registry = 'a.example'): Promise<void> => {
    await sql`
      insert into registry_processes (instance, registry, first_heard_at, last_heard_at, revision)
      values (${instance}, ${registry}, ${daysAgo(first)}, ${daysAgo(last)}, 0)
    `.execute(stores.database.sql)
  }
  const notes = async (question = 'orphaned-blobs', parameters: object = {}): Promise<string[]> =>
    ((await asking.answer(question, parameters)).notes ?? []).filter((note) => note.includes('process'))

  test.each(QUESTIONS)('is named by %s, while another one is heard', async (question, parameters) => {
    await heard('one', [40, 0])
    await heard('two', [40, 9])
    expect(await notes(question, parameters)).toEqual([
      'the process two of a.example sent no event since 2026-11-18T12:00:00.000000Z, while another one did: if it still runs, check its ' +
        'notifications, because pushes and uses through it are unknown; if it was replaced, ignore this note',
    ])
    expect(await notes(question, { ...parameters, registry: 'a.example' })).toHaveLength(1)
  })

  test('is not named by a question that offers nothing for clean-up', async () => {
    await heard('one', [40, 0])
    await heard('two', [40, 9])
    expect(await notes('images')).toEqual([])
  })

  test.each<[string, [number, number], [number, number]]>([
    ['the other one was silent as long', [40, 9], [40, 9]],
    ['it was silent for less than 23 hours', [40, 0.9], [40, 0]],
    ['it was silent for more than 30 days', [40, 31], [40, 0]],
    ['the other one was first heard later, as after a restart', [40, 9], [8, 0]],
  ])('is not named if %s', async (__, its, others) => {
    await heard('its', its)
    await heard('other', others)
    expect(await notes()).toEqual([])
  })

  test('is named although the processes that were heard beside it were replaced', async () => {
    await heard('stuck', [40, 9])
    await heard('other', [40, 5])
    await heard('its successor', [4.9, 0])
    expect(await notes()).toEqual([expect.stringContaining('the process stuck of')])
  })

  test('is named if the registry had another name, and not for another registry', async () => {
    await sql`
      insert into inventory.registry_aliases (alias, name) values ('alias.example', 'a.example')
      on conflict do nothing
    `.execute(stores.database.sql)
    await heard('one', [40, 0])
    await heard('two', [40, 9], 'alias.example')
    await heard('three', [40, 9], 'b.example')
    expect(await notes()).toEqual([expect.stringContaining('the process two of a.example')])
  })

  test('is named with three others at most, and without characters that control a terminal', async () => {
    await heard('one', [40, 0])
    for (const day of [2, 3, 4, 5, 6]) await heard(`\u001b[2J${day}${'x'.repeat(1_000)}`, [40, day])
    const found = await notes()
    expect(found.map((note) => note.slice(0, 24))).toEqual([
      ...[2, 3, 4].map((day) => `the process \\u001b[2J${day}xx`.slice(0, 24)),
      'the same is true of 2 mo',
    ])
    expect(Math.max(...found.map(({ length }) => length))).toBeLessThan(400)
  })
})
