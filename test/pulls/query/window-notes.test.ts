import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { WINDOWS, type JoinWindows } from '../../../src/pulls/model/join-windows.js'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryPulls } from '../../../src/pulls/query/query-pulls.js'
import { keepWindows } from '../../../src/pulls/requests/join-window-history.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const NOW = new Date('2026-12-31T12:00:00Z')
const SECOND = 1_000_000

describe.each(STORE_PAIRS)('the windows by which requests were joined, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const opened = async (at: string, windows: Partial<JoinWindows> = {}): Promise<void> =>
    keepWindows(stores.database, { ...WINDOWS, ...windows }, new Date(at))
  const notes = async (period: string, measures = 'pulls,downloads,sessions'): Promise<string[]> => {
    const query = parsePullsQuery({ measures, period }, NOW)
    return (await queryPulls(stores.database.sql, query, { rotation: 'never', stamps: {} })).notes
  }

  test('are in no note if they are the defaults', async () => {
    expect(await notes('2026')).toEqual([])
    await opened('2026-03-01T00:00:00Z')
    await opened('2026-04-01T00:00:00Z')
    expect(await notes('2026')).toEqual([])
  })

  test('are in notes of answers during which they changed or were not the defaults', async () => {
    await opened('2026-03-01T00:00:00Z')
    await opened('2026-11-20T08:00:00Z', { join: 120 * SECOND })
    await opened('2026-11-21T08:00:00Z', { join: 120 * SECOND })
    expect(await notes('2026-11')).toEqual([
      'Until 2026-11-20 requests were joined within 60 s, since then within 120 s.',
    ])
    expect(await notes('2026-10')).toEqual([])
    expect(await notes('2026-12')).toEqual(['Requests were joined within 120 s, not 60 s.'])
    await opened('2026-12-05T08:00:00Z', { join: 30 * SECOND, session: 60 * SECOND })
    await opened('2026-12-10T08:00:00Z', { session: 60 * SECOND, blobs: 90 * SECOND })
    expect(await notes('2026')).toEqual([
      'Until 2026-11-20 requests were joined within 60 s, until 2026-12-05 within 120 s, until 2026-12-10 within 30 s, since then within 60 s.',
      'Until 2026-12-10 layers were joined to pulls within 1800 s, since then within 90 s.',
      'Until 2026-12-05 sessions were ended by a silence of 1800 s, since then by a silence of 60 s.',
    ])
    // Measures that the query does not name get no note.
    expect(await notes('2026-12-20', 'pulls')).toEqual([])
  })
})
