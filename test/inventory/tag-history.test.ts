import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createAsking, short, type Asking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')

const on = (day: number): string => `2026-10-${String(day).padStart(2, '0')}T10:00:00Z`
const push = (day: number, tag: string, digest: string, more: Wanted = {}): Wanted => ({
  at: on(day),
  object: 'manifest',
  tag,
  digest: digestOf(digest),
  ...more,
})
const remove = (day: number, digest?: string): Wanted => ({
  at: on(day),
  action: 'delete',
  ...(digest !== undefined && { digest: digestOf(digest) }),
})

describe.each(STORE_PAIRS)('the history of a tag, on %s', (_, open) => {
  let stores: TestStores
  let asking: Asking
  beforeAll(async () => {
    stores = await open()
    asking = createAsking(stores, NOW)
    await asking.ingest(
      push(1, 'first', 'e1'),
      remove(2, 'e1'),
      remove(3),
      push(4, 'second', 'e1'),
      remove(5, 'e1'),
      push(6, 'pulled', 'e2', { action: 'pull' }),
      remove(7),
    )
  })
  afterAll(async () => stores.close())

  const historyOf = async (tag: string): Promise<unknown[]> =>
    (await asking.items('tag-history', { repository: 'team/app', tag })).map(({ at, action, digest }) => [
      Number(String(at).slice(8, 10)),
      action,
      digest === null ? null : short(digest),
    ])

  test('begins with the tag: a delete from before is one of other tags with the same digest, or of what was there then', async () => {
    expect(await historyOf('second')).toEqual([
      [7, 'delete', null],
      [5, 'delete', 'e1'],
      [4, 'push', 'e1'],
    ])
    expect(await historyOf('first')).toEqual([
      [7, 'delete', null],
      [5, 'delete', 'e1'],
      [3, 'delete', null],
      [2, 'delete', 'e1'],
      [1, 'push', 'e1'],
    ])
  })

  test('has the delete of the repository for a tag that only pulls have shown', async () => {
    expect(await historyOf('pulled')).toEqual([[7, 'delete', null]])
    expect(await historyOf('never')).toEqual([])
  })
})
