import { beforeEach, describe, expect, test } from '@jest/globals'
import type { Descriptor } from '../../src/events/descriptor.js'
import { refreshFindings } from '../../src/inventory/summary/findings.js'
import { LIMITS, rangesOf, weighRepositories, type Limits } from '../../src/inventory/summary/ranges.js'
import type { Database } from '../../src/storage/sql/database.js'
import { blob, OCI_LAYER, short, useAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { seeingTransactions, StatementEnded } from '../servers/seen-statements.js'
import { STORE_PAIRS } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const OLD = '2026-01-10T10:00:00Z'

const part = (name: string, mediaType: string): Descriptor => ({ digest: digestOf(name), mediaType, size: 20 })
const manifest = (name: string, more: Wanted = {}): Wanted => ({
  ...{ object: 'manifest', digest: digestOf(name), mediaType: OCI_IMAGE, size: 500, at: OLD },
  ...more,
})
const image = (name: string, more: Wanted): Wanted =>
  manifest(name, { references: [part(`c${name}`, OCI_CONFIG), part(`b${name}`, OCI_LAYER)], ...more })
/** An index that lists one image so many times, or several indexes. */
const index = (name: string, references: Descriptor[], more: Wanted): Wanted =>
  manifest(name, { mediaType: OCI_INDEX, references, ...more })
const times = (count: number, one: Descriptor): Descriptor[] => Array.from({ length: count }, () => one)

/** Repositories where all is known: an image that an index lists, one that nothing leads to, and a blob that no manifest has. */
const withFindings = (repository: string): Wanted[] => [
  image('f1', { repository }),
  image('f2', { repository }),
  blob('0e', { at: OLD, repository }),
]

describe.each(STORE_PAIRS)('long lists in many repositories, on %s', (_, open) => {
  const { stores, asking } = useAsking(open, NOW)
  /** The repositories in which a question offers something, with what it offers. */
  const offered = async (question: string): Promise<Record<string, string[]>> => {
    const found: Record<string, string[]> = {}
    for (const { repository, digest } of await asking.items(question, { limit: '1000' })) {
      ;(found[String(repository)] ??= []).push(short(digest))
    }
    return found
  }
  const inEach = (repositories: readonly string[], digest: string): Record<string, string[]> =>
    Object.fromEntries(repositories.map((one) => [one, [digest]]))

  describe('of an index that was pushed once and pulled in each', () => {
    const entries = 300
    const repositories = Array.from({ length: 8 }, (_, i) => `team/r${i}`)
    const limits = (some: Partial<Limits>): Limits => ({ ...LIMITS.pglite, ...some })
    beforeEach(async () => {
      await asking.ingestMany(
        ...withFindings('base'),
        index('d1', times(entries, part('f1', OCI_IMAGE)), { repository: 'base' }),
        ...repositories.flatMap((repository) => [
          ...withFindings(repository),
          manifest('d1', { repository, mediaType: OCI_INDEX, action: 'pull' }),
        ]),
      )
      await asking.summary()
    })

    test('are read in ranges of a bounded number of rows', async () => {
      const all = ['base', ...repositories]
      expect(await offered('orphaned-blobs')).toEqual(inEach(all, 'e'))
      const weights = await weighRepositories(stores.database.jobs)
      expect([...weights.values()].every((one) => one.entries >= entries && one.inLongLists === entries)).toBe(true)
      const ofRange = 2_000
      const ranges = rangesOf(weights, limits({ ofRange }))
      expect(ranges.length).toBeGreaterThan(2)
      for (const { after = 0, to = Infinity, unread } of ranges) {
        const some = [...weights]
          .filter(([id]) => id > after && id <= to)
          .map(([, { own, entries: rows }]) => own + rows)
        // All but the last are below it.
        expect(some.slice(0, -1).reduce((sum, one) => sum + one, 0)).toBeLessThan(ofRange)
        expect(unread).toEqual([])
      }
      await refreshFindings(stores.database, NOW, limits({ ofRange }))
      expect(await offered('orphaned-blobs')).toEqual(inEach(all, 'e'))
      expect(await asking.answer('orphaned-blobs')).not.toHaveProperty('unknown')
    })

    test.each<[string, Partial<Limits>, string[]]>([
      ['the first ones', { inLongLists: 3 * entries }, ['base', 'team/r0', 'team/r1']],
      ['none', { ofRepository: entries - 1 }, []],
    ])('are read in %s, and nothing is offered of the others', async (__, some, read) => {
      for (const ofRange of [LIMITS.pglite.ofRange, 2_000]) {
        await refreshFindings(stores.database, NOW, limits({ ofRange, ...some }))
        expect(await offered('orphaned-blobs')).toEqual(inEach(read, 'e'))
        const untagged = await offered('untagged-manifests')
        expect(Object.keys(untagged).sort()).toEqual(read)
        expect(Object.values(untagged).every((digests) => digests.includes('f2'))).toBe(true)
        const unread = 9 - read.length
        expect((await asking.answer('orphaned-blobs')).unknown).toEqual({ contents: 3 * unread, blobs: 5 * unread })
        // Where the index was pulled alone, a tag from before may point to it.
        const pulled = read.filter((one) => one !== 'base').length
        expect((await asking.answer('untagged-manifests')).unknown).toMatchObject({
          ...{ contents: 3 * unread, manifests: 3 * unread + pulled },
        })
      }
      await asking.summary()
      expect(Object.keys(await offered('orphaned-blobs'))).toHaveLength(9)
    })

    test('are unknown in the repositories of a range whose statement was cancelled; the other ranges are read', async () => {
      const ofRange = 2_000
      const ranges = rangesOf(await weighRepositories(stores.database.jobs), limits({ ofRange }))
      const { after = NaN, to = NaN } = ranges[1] ?? {}
      const { database } = stores
      const ending = (isEnded: (attempt: number) => boolean): Pick<Database, 'engine' | 'jobs'> => {
        let attempt = 0
        return {
          engine: 'pglite',
          jobs: seeingTransactions(database.jobs, async (execute, text, parameters) => {
            const isOfSecond = text.includes('found_orphans') && parameters.includes(after) && parameters.includes(to)
            if (isOfSecond && isEnded(attempt++)) throw new StatementEnded()
            return execute()
          }),
        }
      }
      const ids = [...(await weighRepositories(database.jobs))].map(([id]) => id)
      const isInSecond = (id: number): boolean => id > after && id <= to
      const all = ['base', ...repositories]
      const read = all.filter((_one, i) => !isInSecond([...ids].sort((a, b) => a - b)[i] ?? NaN))
      expect(read.length).toBeGreaterThan(1)
      expect(read.length).toBeLessThan(all.length)

      const ended = await refreshFindings(
        ending((attempt) => attempt === 0),
        NOW,
        limits({ ofRange }),
      )
      expect(ended).toHaveLength(1)
      expect(await offered('orphaned-blobs')).toEqual(inEach(read, 'e'))
      expect(Object.keys(await offered('untagged-manifests')).sort()).toEqual([...read].sort())
      const unread = all.length - read.length
      expect((await asking.answer('orphaned-blobs')).unknown).toEqual({ contents: 3 * unread, blobs: 5 * unread })

      // A second time: the others are refreshed, and the caller learns of it.
      const failed = refreshFindings(
        ending(() => true),
        NOW,
        limits({ ofRange }),
      )
      await expect(failed).rejects.toThrow('1 failed; the others were done')
      // On PostgreSQL, where a stop ends statements too, nothing becomes unknown.
      const stopped = refreshFindings({ ...ending(() => true), engine: 'postgresql' }, NOW, limits({ ofRange }))
      await expect(stopped).rejects.toThrow(StatementEnded)
      expect(await refreshFindings(database, NOW, limits({ ofRange }))).toEqual([])
      expect(await offered('orphaned-blobs')).toEqual(inEach(all, 'e'))
    })

    test('leave a repository unknown that has no live manifest and is not read', async () => {
      const repository = 'team/gone'
      await asking.ingestMany(image('f1', { repository }), blob('0e', { at: OLD, repository }), {
        action: 'delete',
        digest: digestOf('f1'),
        at: '2026-01-11T10:00:00Z',
        repository,
      })
      await asking.summary()
      await refreshFindings(stores.database, NOW, limits({ ofRepository: entries - 1 }))
      expect((await asking.answer('orphaned-blobs', { repository })).items).toEqual([])
      expect((await asking.answer('orphaned-blobs', { repository })).unknown).toMatchObject({ contents: 1 })
    })
  })

  describe('of indexes that no event showed', () => {
    const entries = 410
    /** So many that a live index lists: each lists one image. */
    const unheard = (count: number): string[] => Array.from({ length: count }, (_, i) => `1d${i}`)
    const pushElsewhere = async (count: number): Promise<void> =>
      asking.ingestMany(
        image('f1', { repository: 'elsewhere', tag: '1' }),
        ...unheard(count).map((name, i) =>
          index(name, times(entries, part('f1', OCI_IMAGE)), { repository: 'elsewhere', tag: `i${i}` }),
        ),
      )
    const listing = (repository: string, count: number): Wanted[] => [
      ...withFindings(repository),
      index(
        `2d${count}`,
        unheard(count).map((name) => part(name, OCI_INDEX)),
        { repository, tag: 'all' },
      ),
    ]

    test('are read up to a bound for each repository', async () => {
      await pushElsewhere(25)
      await asking.ingestMany(...listing('few', 24), ...listing('many', 25))
      await asking.summary()
      expect(await offered('orphaned-blobs')).toEqual({ few: ['e'] })
      expect(await offered('untagged-manifests')).toEqual({ few: ['f2'] })
      for (const question of ['orphaned-blobs', 'untagged-manifests']) {
        expect(await asking.answer(question, { repository: 'few' })).not.toHaveProperty('unknown.contents')
      }
      expect((await asking.answer('orphaned-blobs')).unknown).toEqual({ contents: 25, blobs: 1 })
      expect((await asking.answer('untagged-manifests')).unknown).toMatchObject({ contents: 25, manifests: 2 })
    })

    test('and for all repositories of a question', async () => {
      await pushElsewhere(24)
      const repositories = Array.from({ length: 7 }, (_, i) => `team/r${i}`)
      await asking.ingestMany(...repositories.flatMap((repository) => listing(repository, 24)))
      await asking.summary()
      await refreshFindings(stores.database, NOW, LIMITS.postgresql)
      expect(await offered('untagged-manifests')).toEqual(inEach(repositories.slice(0, 5), 'f2'))
      expect(await asking.digests('untagged-manifests', { repository: 'team/r6' })).toEqual(['f2'])
    })
  })
})
