import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ask, QuestionError, type InventoryAnswer, type Item } from '../../src/inventory/questions/ask.js'
import { cursorOf } from '../../src/inventory/questions/cursor.js'
import { lastUsed } from '../../src/inventory/questions/last-used.js'
import type { Key } from '../../src/inventory/questions/question.js'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { summarize } from '../../src/inventory/summary/summarize.js'
import { questionNamed } from '../servers/asking.js'
import { createCounting } from '../servers/counting.js'
import { heardAt } from '../servers/heard.js'
import { digestOf, knownHistory } from '../servers/history.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')

/** What each question needs to be asked at all. */
const REQUIRED: Record<string, Record<string, string>> = {
  'old-images': { older_than: '1d' },
  'unused-images': { unused_for: '1d' },
  'tag-history': { repository: 'team/app', tag: 'old' },
  tree: { repository: 'team/app', reference: '2.0' },
}

const name = (digest: unknown): string => String(digest).replace(/^sha256:0*/, '')
const image = ({ repository, tag }: Item): string => `${String(repository)}:${String(tag)}`

/** Keys with a number that does not fit into a bigint, or is none. */
const BEYOND_BIGINT = ['9223372036854775808', '-9223372036854775809', '1e3', '1.5', ' 1', ''].flatMap((number) => [
  [number, 1],
  [number, 1, 'x'],
])

describe.each(STORE_PAIRS)('the questions on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    const { ingest } = createCounting(stores)
    await ingest(knownHistory())
    await summarize(stores.database, () => NOW)
  })
  afterAll(async () => stores.close())

  const asked = async (question: string, parameters: object = {}): Promise<InventoryAnswer> =>
    ask(stores.database.sql, questionNamed(question), parameters, NOW)
  const items = async (question: string, parameters: object = {}): Promise<Item[]> =>
    (await asked(question, parameters)).items

  test('totals count each blob once', async () => {
    // Own layers 100, 200, 300, 400 and 60 (50 is deleted), six configurations of 5, the base, the blob without manifest.
    expect(await asked('totals')).toEqual({
      items: [
        {
          registries: 2,
          repositories: 3,
          tags: 4,
          manifests: 6,
          blobs: 13,
          bytes: 1060 + 30 + 1000 + 7000,
          orphaned_blobs: 3,
          orphaned_bytes: 400 + 5 + 7000,
          unknown_contents: 0,
          unknown_sizes: 0,
          deletions_28_days: expect.any(Number),
        },
      ],
      next: null,
      definition: expect.stringMatching(/count once/),
      as_of: NOW.toISOString(),
    })
  })

  test('repositories distinguish unique bytes from shared ones', async () => {
    const sizes = {
      bytes: 0,
      unique_bytes: 0,
      shared_bytes: 0,
      unknown_contents: 0,
      unknown_sizes: 0,
      last_seen_at: '',
    }
    expect(await items('repositories')).toEqual([
      {
        ...sizes,
        registry: 'mirror.example',
        repository: 'other/tool',
        tags: 0,
        manifests: 0,
        blobs: 1,
        bytes: 7000,
        unique_bytes: 7000,
        last_seen_at: '2026-05-10T10:00:00.000000Z',
      },
      {
        ...sizes,
        registry: 'registry.example',
        repository: 'team/app',
        tags: 3,
        manifests: 4,
        blobs: 9,
        bytes: 2020,
        unique_bytes: 1020,
        shared_bytes: 1000,
        last_seen_at: '2026-11-01T10:00:00.000000Z',
      },
      {
        ...sizes,
        registry: 'registry.example',
        repository: 'team/lib',
        tags: 1,
        manifests: 2,
        blobs: 4,
        bytes: 1070,
        unique_bytes: 70,
        shared_bytes: 1000,
        last_seen_at: '2026-11-03T10:00:00.000000Z',
      },
    ])
    expect((await items('largest-repositories', { prefix: 'team/' })).map(({ repository }) => repository)).toEqual([
      'team/app',
      'team/lib',
    ])
  })

  test('images have a size, and when they were pushed and used', async () => {
    const images = await items('images')
    expect(images.map(image)).toEqual(['team/app:1.0', 'team/app:2.0', 'team/app:latest', 'team/lib:1.0'])
    expect(images[0]).toEqual({
      registry: 'registry.example',
      repository: 'team/app',
      tag: '1.0',
      digest: digestOf('a1'),
      os: null,
      architecture: null,
      size: 20 + 5 + 1000 + 100,
      pushed_at: '2026-02-10T10:00:00.000000Z',
      used_at: '2026-09-01T10:00:00.000000Z',
    })
    // The base counts once, in however many images of an index it is.
    expect(images[1]).toMatchObject({ tag: '2.0', size: 30 + 20 + 20 + 5 + 5 + 1000 + 200 + 300 })
    expect(await items('images', { registry: 'mirror.example' })).toEqual([])
    expect((await items('images', { repository: 'team/lib' })).map(image)).toEqual(['team/lib:1.0'])
  })

  test('old images by their last push, the oldest first', async () => {
    const older = async (age: string): Promise<string[]> => (await items('old-images', { older_than: age })).map(image)
    expect(await older('8m')).toEqual(['team/app:1.0', 'team/app:latest', 'team/lib:1.0'])
    expect(await older('2026-02-11')).toEqual(['team/app:1.0'])
    expect(await older('10y')).toEqual([])
  })

  test('unused images by push, pull or check, of the tag or its manifest', async () => {
    const unused = async (age: string): Promise<string[]> =>
      (await items('unused-images', { unused_for: age })).map(image)
    // latest is the manifest that 1.0 was pulled by in September.
    expect(await unused('3m')).toEqual(['team/lib:1.0', 'team/app:2.0'])
    expect(await unused('6m')).toEqual(['team/lib:1.0'])
    expect(await unused('30d')).toEqual(['team/app:latest', 'team/lib:1.0', 'team/app:2.0', 'team/app:1.0'])
  })

  test('the tree of an index, down to layers', async () => {
    const tree = await items('tree', { repository: 'team/app', reference: '2.0' })
    expect(tree.map(({ level, part, digest, architecture }) => [level, part, name(digest), architecture])).toEqual([
      [0, 'index', 'a5', null],
      [1, 'manifest', 'a2', 'amd64'],
      [2, 'config', 'ca2', null],
      [2, 'layer', 'ba5e', null],
      [2, 'layer', '1aa2', null],
      [1, 'manifest', 'a3', 'arm64'],
      [2, 'config', 'ca3', null],
      [2, 'layer', 'ba5e', null],
      [2, 'layer', '1aa3', null],
    ])
    const broken = await items('tree', { repository: 'team/lib', reference: digestOf('b1') })
    expect(broken.map(({ digest, present }) => [name(digest), present])).toEqual([
      ['b1', 'yes'],
      ['cb1', 'yes'],
      ['ba5e', 'yes'],
      ['1ab1', 'no'],
    ])
  })

  test('tags by state', async () => {
    expect((await items('tags', { state: 'deleted' })).map((one) => [image(one), one.deleted_at])).toEqual([
      ['team/app:old', '2026-11-01T10:00:00.000000Z'],
      ['team/lib:0.9', '2026-11-02T10:00:00.000000Z'],
    ])
    expect(await items('tags')).toHaveLength(4)
    expect(await items('tags', { state: 'all' })).toHaveLength(6)
  })

  test('images with the most tags', async () => {
    expect(await items('most-tagged')).toEqual([
      { registry: 'registry.example', repository: 'team/app', digest: digestOf('a1'), tags: 2 },
    ])
  })

  test('the history of a tag has the delete by digest that deleted it', async () => {
    const history = await items('tag-history', { repository: 'team/app', tag: 'old' })
    expect(history.map(({ at, action, actor, digest }) => [at, action, actor, name(digest)])).toEqual([
      ['2026-11-01T10:00:00.000000Z', 'delete', 'bob', 'a4'],
      ['2026-01-10T10:00:00.000000Z', 'push', 'alice', 'a4'],
    ])
  })

  test('manifests, also by digest; untagged ones; those that lack blobs', async () => {
    expect((await items('manifests')).map(({ digest }) => name(digest))).toEqual(['a1', 'a2', 'a3', 'a5', 'b1', 'b2'])
    expect(await items('manifests', { digest: digestOf('b2') })).toHaveLength(1)
    expect((await items('untagged-manifests')).map(({ digest }) => name(digest))).toEqual(['b2'])
    expect(await items('missing-blobs')).toEqual([
      {
        registry: 'registry.example',
        repository: 'team/lib',
        manifest_digest: digestOf('b1'),
        part: 'blob',
        blob_digest: digestOf('1ab1'),
        os: null,
        architecture: null,
        tags: 1,
        tag_names: '1.0',
        size: 50,
        deleted_at: '2026-11-03T10:00:00.000000Z',
      },
    ])
  })

  test('blobs, and those that no manifest has', async () => {
    expect(await items('blobs')).toHaveLength(14)
    expect((await items('blobs', { digest: digestOf('ba5e') })).map(({ repository }) => repository)).toEqual([
      'team/app',
      'team/lib',
    ])
    expect((await items('orphaned-blobs')).map(({ digest, size }) => [name(digest), size])).toEqual([
      ['100se', 7000],
      ['1aa4', 400],
      ['ca4', 5],
    ])
  })

  test('deletions, when and by whom', async () => {
    const deletions = await items('deletions')
    expect(deletions.map(({ what, repository, actor }) => [what, repository, actor])).toEqual([
      ['blob', 'team/lib', 'carol'],
      ['tag', 'team/lib', 'bob'],
      ['manifest', 'team/app', 'bob'],
    ])
    expect(await items('deletions', { actor: 'carol' })).toHaveLength(1)
    expect(await items('deletions', { since: '2026-11-02' })).toHaveLength(2)
  })

  test.each(QUESTIONS.map(({ name }) => name))('%s: pages of any size have the same rows', async (question) => {
    const whole = await items(question, REQUIRED[question])
    expect(whole.length).toBeGreaterThan(0)
    for (const limit of ['1', '2', '5']) {
      const walked: Item[] = []
      let page = await asked(question, { ...REQUIRED[question], limit })
      walked.push(...page.items)
      while (page.next !== null) {
        page = await asked(question, { ...REQUIRED[question], limit, cursor: page.next })
        walked.push(...page.items)
      }
      expect(walked).toEqual(whole)
    }
  })

  const withBigint = QUESTIONS.filter(({ key }) => key.includes('bigint'))
  test.each(withBigint)(
    '$name: a cursor has each bigint as text, and one of an earlier version continues',
    async (question) => {
      const page = { after: undefined, limit: 1, now: NOW }
      const { rows } = await question.statement({}, page).execute(stores.database.sql)
      const key = rows[0]?.key as Key
      for (const [i, kind] of question.key.entries()) if (kind === 'bigint') expect(key[i]).toMatch(/^\d+$/)
      const earlier = key.map((part, i) => (question.key[i] === 'bigint' ? Number(part) : part))
      const behind = async (last: Key): Promise<Item[]> => items(question.name, { cursor: cursorOf(last) })
      expect(await behind(earlier)).toEqual(await behind(key))
    },
  )

  test.each(QUESTIONS.map(({ name }) => name))('%s refuses cursors that are not its own', async (question) => {
    const hostile = [
      'x',
      '!!',
      'bnVsbA',
      '',
      'a'.repeat(3_000),
      ...[[], {}, [null], ['\0', '\0'], [1e300, 1e300, 1e300], ['x', 'y', 'z', 'w'], ...BEYOND_BIGINT].map((key) =>
        Buffer.from(JSON.stringify(key)).toString('base64url'),
      ),
    ]
    for (const cursor of hostile) {
      await expect(asked(question, { ...REQUIRED[question], cursor })).rejects.toThrow(QuestionError)
    }
    await expect(asked(question, { ...REQUIRED[question], cursor: 'x' })).rejects.toThrow(
      /cursor: .* start with the first page/,
    )
  })

  test.each([
    ['images', { limit: '0' }, /limit: is a number from 1 to 1000/],
    ['images', { limit: '1001' }, /limit: is a number/],
    ['images', { limit: '-1' }, /limit: is a number/],
    ['images', { registry: ['a', 'b'] }, /registry: is given once, as text/],
    ['images', { registry: '' }, /registry: is empty; omit it/],
    ['images', { registry: 'a\0b' }, /registry: has characters/],
    ['images', { registry: 'x'.repeat(2_000) }, /registry: is longer/],
    ['images', { older: '1' }, /older: is not a parameter of images; there are registry, repository, limit, cursor/],
    ['old-images', {}, /older_than: is missing, expected an age such as 90d/],
    ['old-images', { older_than: '90' }, /older_than: is an age such as 90d/],
    ['old-images', { older_than: "1d'; drop table x" }, /older_than: is an age/],
    ['old-images', { older_than: '2026-02-30' }, /older_than: is an age/],
    ['tags', { state: 'dead' }, /state: is live, deleted, all/],
    ['tag-history', { repository: 'a' }, /tag: is missing/],
  ])('%s %j is refused', async (question, parameters, message) => {
    await expect(asked(question, parameters)).rejects.toThrow(message)
  })

  test('a moment in the future is refused by every parameter that takes an age', async () => {
    const ages = [...QUESTIONS, lastUsed].flatMap((question) =>
      Object.entries(question.parameters).flatMap(([key, { kind }]) => (kind === 'age' ? [{ question, key }] : [])),
    )
    expect(ages.length).toBeGreaterThanOrEqual(5)
    for (const { question, key } of ages) {
      const parameters = { ...REQUIRED[question.name] }
      for (const day of ['2026-11-22', '2027-05-21', '2026-11-21T12:00:00.000001Z'])
        await expect(ask(stores.database.sql, question, { ...parameters, [key]: day }, NOW)).rejects.toThrow(
          new RegExp(`^${key}: is in the future \\(now 2026-11-21T12:00:00.000000Z\\), expected an age`),
        )
      for (const day of ['2026-11-21', '2026-11-21T12:00:00Z'])
        await expect(ask(stores.database.sql, question, { ...parameters, [key]: day }, NOW)).resolves.toHaveProperty(
          'items',
        )
    }
  })

  test('what a delete leaves behind comes later, and a note says so while that is', async () => {
    const notes = async (question: string, at: string, parameters = {}): Promise<string[]> => {
      await heardAt(stores.database.sql, new Date(at))
      return (await ask(stores.database.sql, questionNamed(question), parameters, new Date(at))).notes ?? []
    }
    const { items: deletes } = await asked('deletions')
    const newest = Date.parse(String(deletes[0]?.at))
    const hours = (count: number): string => new Date(newest + count * 3_600_000).toISOString()
    const note = (days: string): unknown => expect.stringMatching(`^something was deleted in the last ${days}: `)
    expect(await notes('orphaned-blobs', hours(1))).toContainEqual(note('24 hours'))
    expect(await notes('orphaned-blobs', hours(25))).not.toContainEqual(note('24 hours'))
    expect(await notes('untagged-manifests', hours(25))).toContainEqual(note('30 days'))
    expect(await notes('untagged-manifests', hours(31 * 24))).not.toContainEqual(note('30 days'))
    expect(await notes('untagged-manifests', hours(25), { unused_for: '1d' })).not.toContainEqual(note('30 days'))
    expect(await notes('orphaned-blobs', hours(1), { registry: 'mirror.example' })).not.toContainEqual(note('24 hours'))
  })

  test('the tree of an unknown reference has a note, and that of an unknown repository another', async () => {
    expect(await asked('tree', { repository: 'team/app', reference: 'nope' })).toMatchObject({
      items: [],
      notes: ['no manifest is known for "nope" in team/app; check the spelling'],
    })
    const { notes } = await asked('tree', { repository: 'team/nope', reference: '2.0' })
    expect(notes).toEqual([expect.stringMatching(/^The inventory has no repository/)])
  })

  test('SQL in a parameter is only text', async () => {
    expect(await items('images', { repository: "' or true --" })).toEqual([])
  })
})
