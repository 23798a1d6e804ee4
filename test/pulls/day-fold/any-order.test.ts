import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { utcDay } from '../../../src/events/calendar.js'
import type { Digest, RepositoryPath, Tag } from '../../../src/events/reference.js'
import { createByOrigin } from '../../../src/pulls/fold-job/by-origin.js'
import { foldBatch, type ChangedOutcome } from '../../../src/pulls/fold-job/fold-batch.js'
import type { PartitionOptions } from '../../../src/pulls/day-fold/partitions.js'
import { foldDays } from '../../../src/pulls/day-fold/fold-days.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { keepSegments } from '../../../src/pulls/segments/segment-table.js'
import type { Who } from '../../../src/pulls/requests/pending.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { segmentOf, type FileRequest } from '../../support/segments.js'

const NOW = new Date('2026-11-21T12:00:00Z')
const REGISTRY = 'registry.example'
const SECOND = 1_000_000
const MIDNIGHT = Date.parse('2026-11-11T00:00:00Z') * 1_000
const DIGESTS = ['a', 'b', 'c', 'd'].map((one) => `sha256:${one.repeat(64)}` as Digest)

const whoOf = (origin: string): string =>
  JSON.stringify({
    ...{ endpoint: `endpoint of ${origin}`, source: 'access_log', client: 'docker', kind: 'runtime', signedIn: false },
  } satisfies Who)

/** Requests of three days, most of them around two midnights. */
const request = fc.record(
  {
    seconds: fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -40, max: 40 }) },
      fc.integer({ min: -2_000, max: 2_000 }),
      fc.integer({ min: 84_400, max: 88_400 }),
      fc.integer({ min: -86_400, max: 172_799 }),
    ),
    origin: fc.constantFrom('one', 'two'),
    hasPrevious: fc.boolean(),
    repository: fc.constantFrom('team/app' as RepositoryPath, 'team/web' as RepositoryPath),
    object: fc.constantFrom('manifest', 'manifest', 'blob'),
    method: fc.constantFrom('GET', 'GET', 'HEAD'),
    status: fc.constantFrom(200, 200, 200, 304, 307, 404),
    tag: fc.constantFrom('latest' as Tag, '1.0' as Tag, `sha256-${'a'.repeat(64)}` as Tag),
    digest: fc.constantFrom(...DIGESTS),
    bytes: fc.nat(),
    /** In how many files the request is. */
    copies: fc.constantFrom(1, 1, 2),
    piece: fc.nat({ max: 4 }),
  },
  { requiredKeys: ['seconds', 'origin', 'hasPrevious', 'repository', 'object', 'method', 'status', 'copies', 'piece'] },
)

/** Days of one request in each part, of a few, and of one part. */
const parts = fc.record({ mostRows: fc.constantFrom(1, 3, 8, 1_000), seed: fc.nat() })

type Case = typeof request extends fc.Arbitrary<infer T> ? T : never

const requestOf = ({ seconds, hasPrevious, ...rest }: Case, i: number): FileRequest => ({
  ...rest,
  id: i.toString(16).padStart(16, '0'),
  at: MIDNIGHT + seconds * SECOND,
  registry: REGISTRY,
  who: whoOf(rest.origin),
  mayRepeat: true,
  ...(hasPrevious && { previous: `${rest.origin} before` }),
})

type Row = Record<string, unknown>

const storedRows = async ({ database }: TestStores): Promise<Row[]> => {
  const { rows } = await sql<Row>`
    select id, what, (extract(epoch from at) * 1000000)::bigint::text as at, repository, origin, tag, digest, gets, layers, bytes::text,
      starts_session
    from pulls.outcomes order by repository, at, id
  `.execute(database.sql)
  return rows
}

const rowOf = ({ outcome }: ChangedOutcome): Row => {
  const { id, what, at, repository, origin, tag, digest, bytes } = outcome
  const { gets, layers, startsSession } =
    outcome.what === 'invocation' ? outcome : { gets: 0, layers: 0, startsSession: false }
  return {
    ...{ id, what, at: String(at), repository, origin, tag: tag ?? null, digest: digest ?? null, gets, layers },
    ...{ bytes: String(bytes), starts_session: startsSession },
  }
}

/** Invocations of two days in the cases on all databases. Few cases on one database may have none. */
let continued = 0

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => {
    await stores.close()
  })

  const keep = async (requests: readonly FileRequest[]): Promise<void> => {
    const days = new Map<string, FileRequest[]>()
    for (const one of requests) days.set(utcDay(one.at), [...(days.get(utcDay(one.at)) ?? []), one])
    const segments = [...days].map(([day, some]) => ({ registry: REGISTRY, day, segment: segmentOf(some) }))
    await stores.database.sql.transaction().execute(async (tx) => keepSegments(tx, { file: '1', segments, now: NOW }))
  }

  const foldAll = async (partitions: PartitionOptions): Promise<void> =>
    foldDays({ database: stores.database, windows: WINDOWS, partitions })

  test('requests in any pieces, in any order and in any parts have the outcomes of all requests together', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 5, maxLength: 40 }),
        fc.shuffledSubarray([0, 1, 2, 3, 4], { minLength: 5 }),
        fc.array(fc.option(parts), { minLength: 5, maxLength: 5 }),
        parts,
        async (cases, order, foldsAfter, lastParts) => {
          await stores.clear()
          const requests = cases.map(requestOf)
          for (const [turn, piece] of order.entries()) {
            const isIn = ({ piece: own, copies }: Case): boolean =>
              own === piece || (copies === 2 && (own + 1) % 5 === piece)
            await keep(requests.filter((_one, i) => cases.slice(i, i + 1).some(isIn)))
            const partitions = foldsAfter[turn]
            if (partitions) await foldAll(partitions)
          }
          await foldAll(lastParts)
          const expected = foldBatch(
            { requests, chains: createByOrigin() },
            { contentsIn: () => () => undefined, windows: WINDOWS },
          )
          const rows = await storedRows(stores)
          const byKey = (a: Row, b: Row): number =>
            String(a.repository) < String(b.repository) ||
            (a.repository === b.repository &&
              (Number(a.at) < Number(b.at) || (a.at === b.at && String(a.id) < String(b.id))))
              ? -1
              : 1
          expect(rows).toEqual(expected.map(rowOf).sort(byKey))
          const { rows: totals } = await sql<{ invocations: string; pulls: string }>`
            select sum(invocations)::text as invocations, sum(pulls)::text as pulls from pulls.totals
          `.execute(stores.database.sql)
          const invocations = expected.filter(({ outcome }) => outcome.what === 'invocation')
          expect(totals.map((one) => [Number(one.invocations), Number(one.pulls)])).toEqual([
            [invocations.length, invocations.filter(({ outcome }) => 'gets' in outcome && outcome.gets > 0).length],
          ])
          continued += invocations.filter(
            ({ outcome }) => 'last' in outcome && utcDay(outcome.last) !== utcDay(outcome.at),
          ).length
        },
      ),
      runsOn(stores.database, { postgresql: 300, pglite: 30 }),
    )
    expect(continued).toBeGreaterThan(0)
  })
})
