import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { Digest, RepositoryPath } from '../../../src/events/reference.js'
import type { Action, RegistryEvent } from '../../../src/events/registry-event.js'
import type { Descriptor } from '../../../src/events/descriptor.js'
import { closeDeleted } from '../../../src/inventory/record/close-deleted.js'
import { carryOutRenames } from '../../../src/inventory/record/renames.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { liveIn } from '../../servers/inventory.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const RENAMED = 20

const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest
const layersOf = (name: string): Descriptor[] =>
  ['b1', 'b2'].map((layer) => ({
    digest: digest(name > 'a2' ? `${layer}${name.slice(1)}` : layer),
    mediaType: 'a/layer',
    size: 10,
  }))

const SOME = { names: ['a1', 'a2'], tags: ['latest'], blob: 'b1' }
/**
 * What comes to the old path after the rename. The same as before it could not be distinguished if the rename is reported late: of
 * an object only the last time is kept.
 */
const OTHERS = { names: ['a3'], tags: ['other'], blob: 'b3' }

/** What is at the new path before, unless it is the same. */
const ELSE = { names: ['a4'], tags: ['else'], blob: 'b4' }

/** One thing that happens in a repository in one second of a minute. */
const happens = (
  repository: string,
  [from, to]: [number, number],
  { names, tags, blob }: typeof SOME,
  actions: readonly Action[] = ['push', 'push', 'pull', 'delete'],
): fc.Arbitrary<Parameters<typeof anEvent>[0]> =>
  fc
    .record({
      second: fc.integer({ min: from, max: to }),
      action: fc.constantFrom(...actions),
      object: fc.constantFrom('manifest', 'manifest', 'blob'),
      name: fc.constantFrom(...names),
      tag: fc.constantFrom(undefined, ...tags),
      isStated: fc.boolean(),
    })
    .map(({ second, action, object, name, tag, isStated }) => {
      const event = { repository, action, at: `2026-11-18T10:00:${String(second).padStart(2, '0')}Z` } as const
      const what = { digest: object === 'blob' ? digest(blob) : digest(name) }
      if (action === 'delete') return { ...event, ...what, ...(tag && object === 'manifest' && { tag }) }
      if (object === 'blob') return { ...event, ...what, object, size: 10 }
      return { ...event, ...what, object, ...(tag && { tag }), ...(isStated && { references: layersOf(name) }) }
    })

/**
 * A path is in use and deleted; another repository is renamed to it and is used there. A registry renames only to a path where
 * nothing is. Where the same was at both paths, nothing else was deleted: deletes of both could not be distinguished, nor could
 * late events (docs/decisions/0009).
 */
const history = fc
  .boolean()
  .chain((isSame) => {
    const actions = isSame ? (['push', 'pull'] as const) : undefined
    return fc.record({
      before: fc.array(happens('new', [0, 15], isSame ? SOME : ELSE), { maxLength: 4 }),
      brought: fc.array(happens('old', [0, 19], SOME, actions), { minLength: 1, maxLength: 5 }),
      after: fc.array(happens('new', [21, 40], SOME, actions), { maxLength: 4 }),
      again: fc.array(happens('old', [21, 40], OTHERS), { maxLength: 2 }),
    })
  })
  .map(({ before, brought, after, again }): RegistryEvent[] => {
    const at = (second: number): string => `2026-11-18T10:00:${second}Z`
    const rename = { what: 'repository', from: 'old' as RepositoryPath, to: 'new' as RepositoryPath } as const
    const wanted = [
      ...before,
      { action: 'delete', repository: 'new', at: at(16) } as const,
      ...brought,
      { action: 'rename', repository: 'old', at: at(RENAMED), rename } as const,
      ...after,
      ...again,
    ]
    return wanted.map((one, i) => anEvent({ id: i + 1, ...one })).sort((a, b) => a.at - b.at)
  })

const scenario = history.chain((events) =>
  fc.record({
    events: fc.constant(events),
    order: fc
      .tuple(fc.shuffledSubarray(events, { minLength: events.length }), fc.subarray(events, { maxLength: 3 }))
      .map(([all, repeats]) => {
        const rename = all.filter(({ action }) => action === 'rename')
        const others = all.filter(({ action }) => action !== 'rename')
        const known =
          others.findLastIndex(({ repository, at }) => repository === 'new' && at < (rename[0]?.at ?? 0)) + 1
        return [...others.slice(0, known), ...rename, ...others.slice(known), ...repeats]
      }),
    /** After which of them the jobs run. */
    settled: fc.array(fc.boolean(), { minLength: events.length, maxLength: events.length }),
  }),
)

describe.each(STORE_PAIRS)('a rename onto a path that was deleted, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const settle = async (): Promise<void> => {
    await closeDeleted(stores.database)
    await carryOutRenames(stores.database, { since: new Date(0) })
  }

  test('leaves the same living, whatever the order of events and jobs', async () => {
    await fc.assert(
      fc.asyncProperty(scenario, async ({ events, order, settled }) => {
        await stores.clear()
        const inOrder = createCounting(stores)
        for (const event of events) {
          await inOrder.ingest([event])
          await settle()
        }
        await settle()
        const expected = await liveIn(stores.database, 'registry.example')
        await stores.clear()
        const shuffled = createCounting(stores)
        for (const [i, event] of order.entries()) {
          await shuffled.ingest([event])
          if (settled[i] === true) await settle()
        }
        await settle()
        await settle()
        expect(await liveIn(stores.database, 'registry.example')).toEqual(expected)
      }),
      runsOn(stores.database, { postgresql: 25, pglite: 10 }),
    )
  })
})
