import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { isoTime, utcDay } from '../../../src/events/calendar.js'
import { countRequests } from '../../../src/pulls/query/count-requests.js'
import { queryRequests, type FoundRequest } from '../../../src/pulls/query/query-requests.js'
import { parseRequestsQuery } from '../../../src/pulls/query/requests-parameters.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { DIGESTS, fileRequests, importRequests, ORIGINS, REPOSITORIES } from '../../support/file-requests.js'
import type { FileRequest } from '../../support/segments.js'

const NOW = new Date('2026-11-13T12:00:00Z')
const [NAME, OTHER] = ['registry.example', 'other.example']

const given = fc.record(
  {
    registry: fc.constantFrom(NAME, OTHER),
    repository: fc.constantFrom(...REPOSITORIES, 'team/*'),
    tag: fc.constantFrom('latest', '1*'),
    digest: fc.constantFrom(...DIGESTS, 'a'.repeat(12)),
    origin: fc.constantFrom(...ORIGINS),
    since: fc.constantFrom('2026-11-10', '2026-11-11'),
    until: fc.constantFrom('2026-11-11', '2026-11-12'),
  },
  { requiredKeys: [] },
)
type Given = typeof given extends fc.Arbitrary<infer T> ? T : never

const hasValue = (value: string | undefined, wanted: string | undefined): boolean =>
  wanted === undefined || value === wanted || (wanted.endsWith('*') && value?.startsWith(wanted.slice(0, -1)) === true)

const isIn = ({ registry, repository, tag, digest, origin, since, until }: Given, one: FileRequest): boolean =>
  hasValue(one.registry, registry) &&
  hasValue(one.repository, repository) &&
  hasValue(one.tag, tag) &&
  hasValue(one.digest, digest?.length === 12 ? `sha256:${digest}*` : digest) &&
  hasValue(one.origin, origin) &&
  (since === undefined || utcDay(one.at) >= since) &&
  (until === undefined || utcDay(one.at) <= until)

describe.each(STORE_PAIRS)('single requests, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  /** Keeps requests as the fold of live requests does. */
  const keepLive = async (requests: readonly FileRequest[]): Promise<void> => {
    for (const [i, { registry, repository, origin, who, at, ...rest }] of requests.entries())
      await sql`
        insert into pulls.requests (id, at, registry, repository, origin, is_late, request, who)
        values (${`00000000-0000-4000-8000-${i.toString().padStart(12, '0')}`}, ${isoTime(at)}, ${registry}, ${repository},
          ${origin}, false, ${JSON.stringify({ at, ...rest })}, ${who})
      `.execute(stores.database.sql)
  }
  const shown = ({
    at,
    registry,
    repository,
    origin,
    tag,
    digest,
    bytes,
    method,
    object,
    status,
  }: FoundRequest): string =>
    JSON.stringify([at, registry, repository, origin, tag, digest, bytes, method, object, status])
  const expected = ({ at, ...rest }: FileRequest): string => shown({ at: isoTime(at), is_late: false, ...rest })

  test('of both stores are listed page by page, the newest first, whatever is asked for', async () => {
    await fc.assert(
      fc.asyncProperty(
        fileRequests([NAME, OTHER]),
        given,
        fc.record({ limit: fc.integer({ min: 1, max: 12 }), most: fc.constantFrom(1, 5, 1_000), live: fc.nat(15) }),
        async (requests, parameters, { limit, most, live }) => {
          await stores.clear()
          await keepLive(requests.slice(0, live))
          const imported = requests.slice(live)
          await importRequests(stores.database, imported.slice(0, 7))
          await importRequests(stores.database, imported.slice(7))
          const all: FoundRequest[] = []
          let after: string | undefined
          let pages = 0
          do {
            const query = { ...parameters, limit: String(limit), ...(after !== undefined && { after }) }
            const answer = await queryRequests(stores.database.sql, parseRequestsQuery(query, NOW), most)
            expect(answer.requests.length).toBeLessThanOrEqual(limit)
            expect(answer.is_cut).toBe(answer.next !== undefined)
            all.push(...answer.requests)
            after = answer.next
            expect(++pages).toBeLessThan(100)
          } while (after !== undefined)
          const wanted = requests.filter((one) => isIn(parameters, one))
          expect(all.map(shown).sort()).toEqual(wanted.map(expected).sort())
          const times = all.map(({ at }) => String(at))
          expect(times).toEqual([...times].sort().reverse())

          const query = parseRequestsQuery({ ...parameters, group_by: 'repository,day', limit: '100' }, NOW)
          const { rows, is_cut } = await countRequests(stores.database.sql, query)
          expect(is_cut).toBe(false)
          const keys = new Set(wanted.map(({ at, repository }) => `${utcDay(at)} ${repository}`))
          expect(new Set(rows.map(({ day, repository }) => `${day} ${repository}`))).toEqual(keys)
          expect(rows.reduce((sum, one) => sum + one.requests, 0)).toBe(wanted.length)
          expect(rows.reduce((sum, one) => sum + one.bytes, 0)).toBe(
            wanted.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
          )
        },
      ),
      runsOn(stores.database, { postgresql: 30, pglite: 8 }),
    )
  })

  test('an answer says which days it has if there are too many requests', async () => {
    const [requests = []] = fc.sample(fileRequests([NAME]), { numRuns: 1, seed: 7 })
    const days = [...new Set(requests.map(({ at }) => utcDay(at)))].sort()
    await importRequests(stores.database, requests)
    const query = parseRequestsQuery({ group_by: 'day' }, NOW)
    const { rows, is_cut, notes } = await countRequests(stores.database.sql, query, 1)
    expect(rows.map(({ day }) => day)).toEqual(days.slice(-1))
    expect([is_cut, notes]).toEqual([
      true,
      [expect.stringContaining(`Only requests since ${days.at(-1) ?? ''} were read`)],
    ])
  })
})

test.each([
  [{ digest: 'short' }, /^digest: "short" is not a digest/],
  [{ since: '2026' }, /^since: "2026" is not a day/],
  [{ since: '2026-11-02', until: '2026-11-01' }, /^until: expected a day that is not before since/],
  [{ after: '1.2' }, /^after: expected the value of next in the previous answer/],
  [{ limit: '0' }, /^limit: expected a whole number from 1 to 10000/],
  [{ colour: 'red' }, /^"colour" is not a parameter; expected registry/],
  [{ group_by: 'hour' }, /^group_by: "hour" is not known, expected day, repository/],
  [{ tag: 'a\0' }, /^tag: contains characters that no name has/],
])('%j is refused with a reason', (parameters, message) => {
  expect(() => parseRequestsQuery(parameters, NOW)).toThrow(message)
})
