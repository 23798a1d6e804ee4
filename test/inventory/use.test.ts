import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { Descriptor } from '../../src/events/descriptor.js'
import { ask, type Item } from '../../src/inventory/questions/ask.js'
import { imageQuestions } from '../../src/inventory/questions/images.js'
import { lastUsed } from '../../src/inventory/questions/last-used.js'
import { manifestQuestions } from '../../src/inventory/questions/manifests.js'
import type { Question } from '../../src/inventory/questions/question.js'
import { tagQuestions } from '../../src/inventory/questions/tags.js'
import { joinLookups } from '../../src/inventory/record/join-lookups.js'
import { settleChecks } from '../../src/inventory/record/settle-checks.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'
import { foldPending } from '../../src/pulls/fold-job/fold-pending.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { runs } from '../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')
const AGE = '90d'
type Wanted = NonNullable<Parameters<typeof anEvent>[0]>

const OLD = '2026-01-10T10:00:00Z'
const CI = { address: '192.0.2.1', userAgent: 'buildkit/v0.12', name: 'ci' }
const NODE = { address: '192.0.2.9', userAgent: 'containerd/v1.7.21' }

const of = (digest: string, mediaType = OCI_IMAGE): Descriptor => ({
  digest: digestOf(digest),
  mediaType,
  size: 20,
})
const push = (at: string, digest: string, more: Wanted = {}): Wanted => ({
  at,
  digest: digestOf(digest),
  ...CI,
  ...more,
})
const index = (at: string, digest: string, parts: Descriptor[], more: Wanted = {}): Wanted =>
  push(at, digest, { mediaType: OCI_INDEX, references: parts, ...more })
const ask_ = (method: string, at: string, digest: string, more: Wanted = {}): Wanted => ({
  ...{ action: 'pull', method, at, digest: digestOf(digest) },
  ...NODE,
  ...more,
})
const get = (at: string, digest: string, more: Wanted = {}): Wanted => ask_('GET', at, digest, more)
const head = (at: string, digest: string, more: Wanted = {}): Wanted => ask_('HEAD', at, digest, more)

describe.each(STORE_PAIRS)('what counts as a use, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  /** Each in an envelope of its own, in the order given. */
  const happened = async (...wanted: Wanted[]): Promise<void> => {
    const { ingest } = createCounting(stores, () => NOW)
    for (const [i, one] of wanted.entries())
      await ingest([anEvent({ id: i + 1, object: 'manifest', mediaType: OCI_IMAGE, size: 20, ...one })])
  }
  /** Once all checks are settled. */
  const settled = async (): Promise<void> => {
    await joinLookups(stores.database)
    await settleChecks(stores.database, new Date(NOW.getTime() + 3_600_000))
  }
  const items = async (question: Question | undefined, parameters: object): Promise<Item[]> => {
    if (!question) throw new Error('no such question')
    return (await ask(stores.database.sql, question, parameters, NOW)).items
  }
  const named = (questions: readonly Question[], name: string): Question | undefined =>
    questions.find((question) => question.name === name)
  const tagsIn = (rows: readonly Item[]): unknown[] => rows.map(({ tag }) => tag)
  /** By both questions, which never differ. */
  const unused = async (parameters: object = {}): Promise<unknown[]> => {
    const asked = { unused_for: AGE, ...parameters }
    const images = tagsIn(await items(named(imageQuestions, 'unused-images'), asked)).sort()
    expect(tagsIn(await items(lastUsed, asked)).sort()).toEqual(images)
    return images
  }
  const old = async (): Promise<unknown[]> =>
    tagsIn(await items(named(imageQuestions, 'old-images'), { older_than: AGE }))
  /** Days on which each tag was used last. */
  const days = async (): Promise<Record<string, string | null>> =>
    Object.fromEntries(
      (await items(lastUsed, {})).map(({ tag, last_used_at }) => [
        String(tag),
        last_used_at === null ? null : String(last_used_at).slice(0, 10),
      ]),
    )

  describe('use of a part', () => {
    test('is use of every index that lists it, however deep, and of no other image', async () => {
      await happened(
        ...['amd', 'arm', 'other'].map((digest) => push(OLD, digest)),
        index(OLD, 'inner', [of('amd'), of('arm')]),
        index(OLD, 'outer', [of('inner', OCI_INDEX)], { tag: 'nested' }),
        index(OLD, 'first', [of('amd'), of('arm')], { tag: 'first' }),
        index(OLD, 'second', [of('amd'), of('other')], { tag: 'second' }),
        index(OLD, 'third', [of('other')], { tag: 'third' }),
        push(OLD, 'arm', { tag: 'arm-alone' }),
        get('2026-11-20T10:00:00Z', 'amd'),
      )
      expect(await unused()).toEqual(['arm-alone', 'third'])
      expect(await days()).toEqual({
        ...{ nested: '2026-11-20', first: '2026-11-20', second: '2026-11-20', third: null, 'arm-alone': null },
      })
      const [outer] = await items(named(manifestQuestions, 'manifests'), { digest: digestOf('outer') })
      expect(outer?.used_at).toBe('2026-11-20T10:00:00.000000Z')
      const images = await items(named(imageQuestions, 'images'), {})
      expect(images.find(({ tag }) => tag === 'nested')?.used_at).toBe('2026-11-20T10:00:00.000000Z')
    })

    test('also when the part is pulled by a tag of its own, or only checked, before the check is settled and after', async () => {
      await happened(
        push(OLD, 'amd', { tag: '1-amd64' }),
        index(OLD, 'list', [of('amd')], { tag: '1' }),
        head('2026-11-20T10:00:00Z', 'amd', { tag: '1-amd64' }),
      )
      expect(await unused()).toEqual([])
      await settled()
      expect(await unused()).toEqual([])
      expect(await days()).toEqual({ '1': '2026-11-20', '1-amd64': '2026-11-20' })
    })

    test('may be, if it is unknown what an index lists: it is not called unused', async () => {
      await happened(
        push(OLD, 'unread', { mediaType: OCI_INDEX, tag: 'unread' }),
        index(OLD, 'outer', [of('inner', OCI_INDEX)], { tag: 'nested' }),
        push(OLD, 'inner', { mediaType: OCI_INDEX }),
        push(OLD, 'image', { tag: 'image' }),
      )
      expect(await unused()).toEqual(['image'])
    })

    test('is not: a pull of a signature, a push of a part; a pull of the whole keeps its parts', async () => {
      const signature = `sha256-${digestOf('amd').slice(7)}.sig`
      await happened(
        push(OLD, 'amd', { tag: '1-amd64' }),
        index(OLD, 'list', [of('amd')], { tag: '1' }),
        push(OLD, 'signature', { tag: signature }),
        get('2026-11-20T10:00:00Z', 'signature', { tag: signature }),
        push('2026-11-20T10:00:00Z', 'amd'),
      )
      expect(await unused()).toEqual(['1', '1-amd64'])
      // The index needs all that it lists: deleting the image by its digest would break the index.
      await happened(get('2026-11-20T10:00:00Z', 'list', { tag: '1' }))
      expect(await unused()).toEqual([])
    })
  })

  describe('the tag of a referrer', () => {
    const SIGNATURE = `sha256-${digestOf('ab').replace('sha256:', '')}.sig`

    test('is offered to no clean-up while its subject is there, however long nothing asked for it', async () => {
      await happened(push(OLD, 'ab', { tag: '1.0' }), push(OLD, 'cd', { tag: SIGNATURE }))
      expect(await unused()).toEqual(['1.0'])
      expect(await old()).toEqual(['1.0'])
    })

    test('is offered once its subject was deleted', async () => {
      const gone = { at: '2026-02-01T10:00:00Z', action: 'delete', digest: digestOf('ab') } as const
      await happened(push(OLD, 'ab', { tag: '1.0' }), push(OLD, 'cd', { tag: SIGNATURE }), gone)
      expect(await unused()).toEqual([SIGNATURE])
      expect(await old()).toEqual([SIGNATURE])
    })
  })

  describe('a push that changes nothing', () => {
    const nightly = (digest: string, more: Wanted = {}): Wanted[] =>
      ['18', '19', '20'].map((day) => push(`2026-11-${day}T03:00:00Z`, digest, { tag: 'nightly', ...more }))

    test('is no use, in whatever order it is reported', async () => {
      const history = [push(OLD, 'same', { tag: 'nightly' }), ...nightly('same')]
      await fc.assert(
        fc.asyncProperty(fc.shuffledSubarray(history, { minLength: history.length }), async (shuffled) => {
          await stores.clear()
          await happened(...shuffled)
          expect(await unused()).toEqual(['nightly'])
          expect(await old()).toEqual(['nightly'])
          const [image] = await items(named(imageQuestions, 'images'), {})
          expect(image).toMatchObject({
            pushed_at: '2026-01-10T10:00:00.000000Z',
            used_at: '2026-01-10T10:00:00.000000Z',
          })
          const [tag] = await items(named(tagQuestions, 'tags'), {})
          expect(tag?.pushed_at).toBe('2026-11-20T03:00:00.000000Z')
        }),
        runs(4),
      )
    })

    test('is one after another digest, or after a delete of the tag, of the digest or of the repository', async () => {
      for (const between of [
        push('2026-11-10T03:00:00Z', 'another', { tag: 'nightly' }),
        { action: 'delete', at: '2026-11-10T03:00:00Z', tag: 'nightly' },
        { action: 'delete', at: '2026-11-10T03:00:00Z', digest: digestOf('same') },
        { action: 'delete', at: '2026-11-10T03:00:00Z' },
      ] as Wanted[]) {
        for (const late of [false, true]) {
          await stores.clear()
          const pushes = [push(OLD, 'same', { tag: 'nightly' }), ...nightly('same')]
          await happened(...(late ? [...pushes, between] : [between, ...pushes]))
          expect(await unused()).toEqual([])
          expect(await old()).toEqual([])
        }
      }
    })

    test('does not hide that another tag was put on the image, also where that tag has moved on', async () => {
      await happened(push(OLD, 'same', { tag: 'nightly' }), push('2026-11-20T03:00:00Z', 'same', { tag: 'prod' }))
      expect(await unused()).toEqual([])
      await stores.clear()
      await happened(
        push(OLD, 'same', { tag: 'nightly' }),
        push('2026-11-15T03:00:00Z', 'same', { tag: 'prod' }),
        push('2026-11-16T03:00:00Z', 'next', { tag: 'prod' }),
        ...nightly('same'),
      )
      expect(await unused()).toEqual([])
      // The tag itself is as old as it was.
      expect(await old()).toEqual(['nightly'])
    })

    test('pages have the same rows', async () => {
      await happened(
        ...['a', 'b', 'c', 'd', 'e'].flatMap((tag) => [
          push(OLD, tag, { tag }),
          push('2026-11-19T03:00:00Z', tag, { tag }),
        ]),
        ...['f', 'g'].map((tag) => push(OLD, tag, { tag })),
        get('2026-02-01T10:00:00Z', 'b'),
      )
      const whole = await items(lastUsed, { unused_for: AGE })
      expect(tagsIn(whole)).toEqual(['f', 'g', 'a', 'c', 'd', 'e', 'b'])
      for (const [question, parameters] of [
        [lastUsed, { unused_for: AGE }],
        [named(imageQuestions, 'unused-images'), { unused_for: AGE }],
        [named(imageQuestions, 'old-images'), { older_than: AGE }],
      ] as const) {
        if (!question) throw new Error('no such question')
        const expected = await items(question, parameters)
        expect(expected).toHaveLength(7)
        for (const limit of ['1', '3']) {
          const walked: Item[] = []
          let cursor: string | null = null
          do {
            const page = await ask(
              stores.database.sql,
              question,
              { ...parameters, limit, ...(cursor !== null && { cursor }) },
              NOW,
            )
            walked.push(...page.items)
            cursor = page.next
          } while (cursor !== null)
          expect(walked).toEqual(expected)
        }
      }
    })
  })

  describe('a HEAD by who then pushes', () => {
    const build = (day: string, more: Wanted = {}): Wanted[] => [
      head(`2026-11-${day}T03:00:00Z`, `n${Number(day) - 1}`, { tag: 'nightly', ...CI, ...more }),
      push(`2026-11-${day}T03:04:00Z`, `n${day}`, { tag: 'nightly' }),
    ]

    test('is no check, before it is settled and after, and an earlier check by another client stays', async () => {
      await happened(
        ...build('10'),
        ...build('11'),
        head('2026-11-11T12:00:00Z', 'n11', { tag: 'nightly' }),
        ...build('12'),
        ...build('13'),
      )
      expect(await days()).toEqual({ nightly: '2026-11-11' })
      await settled()
      expect(await days()).toEqual({ nightly: '2026-11-11' })
      const [tag] = await items(named(tagQuestions, 'tags'), {})
      expect(tag?.checked_at).toBe('2026-11-11T12:00:00.000000Z')
    })

    test('in any order, with the check settled in between or not', async () => {
      const history = [...build('10'), ...build('11'), head('2026-11-10T12:00:00Z', 'n10', { tag: 'nightly' })]
      await fc.assert(
        fc.asyncProperty(fc.shuffledSubarray(history, { minLength: history.length }), async (shuffled) => {
          await stores.clear()
          await happened(...shuffled)
          await settleChecks(stores.database, NOW)
          expect(await days()).toEqual({ nightly: '2026-11-10' })
          await settled()
          expect(await days()).toEqual({ nightly: '2026-11-10' })
        }),
        runs(4),
      )
    })

    test.each<[string, Wanted]>([
      ['another client', { address: '192.0.2.2' }],
      ['another user', { name: 'deployer' }],
      ['another program', { userAgent: 'containerd/1.7' }],
      ['another tag', { tag: 'stable' }],
      ['too early', { at: '2026-11-10T02:48:59Z' }],
      ['after the push', { at: '2026-11-10T03:04:01Z' }],
    ])('is a check if it is of or by %s', async (_name, more) => {
      await happened(push(OLD, 'n9', { tag: 'stable' }), ...build('10', more))
      for (const work of [async () => Promise.resolve(), settled]) {
        await work()
        expect(Object.values(await days())).toContain('2026-11-10')
      }
    })

    test('is a check if the client is unknown', async () => {
      const unknown = {
        ...head('2026-11-10T03:00:00Z', 'n9', { tag: 'nightly' }),
        userAgent: CI.userAgent,
        name: CI.name,
      }
      delete unknown.address
      await happened(unknown, push('2026-11-10T03:04:00Z', 'n10', { tag: 'nightly' }))
      await settled()
      expect(await days()).toEqual({ nightly: '2026-11-10' })
    })

    test('is a pull if it fetched the image before it pushed the next', async () => {
      await happened(push(OLD, 'n9', { tag: 'nightly' }), ...build('10'), get('2026-11-10T03:00:01Z', 'n9', CI))
      await settled()
      const [row] = await items(lastUsed, {})
      expect(row).toMatchObject({
        last_used_at: '2026-11-10T03:00:01.000000Z',
        last_pulled_at: '2026-11-10T03:00:01.000000Z',
      })
    })

    test('by digest is none of what is part of the index that it pushes, and still shows that it is there', async () => {
      await happened(
        push(OLD, 'amd'),
        index(OLD, 'list', [of('amd')], { tag: '1' }),
        { action: 'delete', at: '2026-11-09T03:00:00Z', digest: digestOf('amd') },
        head('2026-11-10T03:00:00Z', 'amd', CI),
        head('2026-11-10T03:00:00Z', 'arm', CI),
        index('2026-11-10T03:00:01Z', 'next', [of('amd')], { tag: '2' }),
      )
      await settled()
      expect(await days()).toEqual({ '1': null, '2': null })
      const manifests = await items(named(manifestQuestions, 'manifests'), {})
      expect(manifests.map(({ digest }) => digest)).toContain(digestOf('amd'))
      // Of what the index does not list, it is a check.
      expect(manifests.find(({ digest }) => digest === digestOf('arm'))?.used_at).toBe('2026-11-10T03:00:00.000000Z')
    })
  })

  describe('uses by some kinds of clients', () => {
    const SCANNER = { address: '192.0.2.5', userAgent: 'trivy/0.50.1' }
    const WITHOUT = { without_kind: 'scanner,mirror' }
    const folded = async (): Promise<void> => {
      const { database } = stores
      await foldPending({
        database,
        windows: WINDOWS,
        lateness: 0,
        now: () => NOW,
        onFolded: async () => Promise.resolve(),
      })
    }
    const used = async (): Promise<Record<string, unknown>> =>
      Object.fromEntries(
        (await items(lastUsed, WITHOUT)).map(({ tag, last_used_at, last_pulled_at, kind, kinds_known_since }) => [
          String(tag),
          [
            ...[last_used_at, last_pulled_at, kinds_known_since].map((at) =>
              at === null ? null : String(at).slice(0, 10),
            ),
            kind,
          ],
        ]),
      )

    test('do not count: what is left is the last use by another kind', async () => {
      await happened(
        ...['scanned', 'both', 'unused'].map((tag) => push(OLD, tag, { tag })),
        push(OLD, 'amd'),
        index(OLD, 'list', [of('amd')], { tag: 'list' }),
        get('2026-06-01T10:00:00Z', 'both', { tag: 'both' }),
        head('2026-11-01T10:00:00Z', 'both', { tag: 'both' }),
        ...['scanned', 'both'].map((tag) => get('2026-11-19T10:00:00Z', tag, { tag, ...SCANNER })),
        head('2026-11-20T10:00:00Z', 'scanned', SCANNER),
        get('2026-11-20T10:00:00Z', 'amd', SCANNER),
        get('2026-11-18T10:00:00Z', 'amd', NODE),
      )
      await folded()
      for (const work of [async () => Promise.resolve(), settled]) {
        await work()
        expect(await used()).toEqual({
          unused: [null, null, null, null],
          scanned: [null, null, null, null],
          list: ['2026-11-18', '2026-11-18', null, 'runtime'],
          both: ['2026-11-01', '2026-06-01', null, 'runtime'],
        })
        expect(await unused(WITHOUT)).toEqual(['scanned', 'unused'])
        expect(await unused({ without_kind: 'runtime' })).toEqual(['unused'])
        expect(await unused({ without_kind: 'runtime,scanner' })).toEqual(['both', 'list', 'scanned', 'unused'])
        expect(await unused()).toEqual(['unused'])
      }
    })

    test('count as long as their requests were not folded, since their kind is not known before', async () => {
      await happened(push(OLD, 'a1', { tag: '1' }), get('2026-11-19T10:00:00Z', 'a1', { tag: '1', ...SCANNER }))
      expect(await unused(WITHOUT)).toEqual([])
      await folded()
      expect(await unused(WITHOUT)).toEqual(['1'])
    })

    test('count if they may have been before kinds were known, at the newest time possible', async () => {
      await happened(
        ...['old', 'both'].map((tag) => push(OLD, tag, { tag })),
        ...['old', 'both'].map((tag) => get('2026-11-19T10:00:00Z', tag, { tag, ...SCANNER })),
        push('2026-08-01T10:00:00Z', 'new', { tag: 'new' }),
        get('2026-10-19T10:00:00Z', 'both', { tag: 'both' }),
      )
      await folded()
      const { sql: db } = stores.database
      const knownSince = async (at: string): Promise<void> => {
        await sql`update pulls.kinds_known set from_at = ${at}::timestamptz`.execute(db)
      }
      try {
        await knownSince('2026-07-01T00:00:00Z')
        expect(await used()).toEqual({
          new: [null, null, null, null],
          old: ['2026-07-01', '2026-07-01', '2026-07-01', null],
          both: ['2026-10-19', '2026-10-19', '2026-07-01', 'runtime'],
        })
        expect(await unused(WITHOUT)).toEqual(['new', 'old'])
        await knownSince('2026-10-01T00:00:00Z')
        expect(await unused(WITHOUT)).toEqual(['new'])
      } finally {
        await knownSince('-infinity')
      }
    })

    test('are asked for by their names alone', async () => {
      for (const without_kind of ['scaner', 'scanner,', 'scanner;mirror', ',']) {
        await expect(ask(stores.database.sql, lastUsed, { without_kind }, NOW)).rejects.toThrow(
          'without_kind: is a list of runtime, builder, updater, scanner, mirror, cli, gitops, bot, unknown',
        )
      }
      await expect(
        ask(stores.database.sql, lastUsed, { without_kind: ' scanner, unknown' }, NOW),
      ).resolves.toBeDefined()
    })
  })
})
