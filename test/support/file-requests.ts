import fc from 'fast-check'
import { sql } from 'kysely'
import { utcDay } from '../../src/events/calendar.js'
import type { Digest, RepositoryPath, Tag } from '../../src/events/reference.js'
import { createByOrigin } from '../../src/pulls/fold-job/by-origin.js'
import { foldBatch } from '../../src/pulls/fold-job/fold-batch.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'
import type { Who } from '../../src/pulls/requests/pending.js'
import { keepSegments } from '../../src/pulls/segments/segment-table.js'
import { openSegment } from '../../src/pulls/segments/segment-bytes.js'
import type { Database } from '../../src/storage/sql/database.js'
import { segmentOf, type FileRequest } from './segments.js'

const IMPORTED_AT = new Date('2026-11-21T12:00:00Z')
const SECOND = 1_000_000
const MIDNIGHT = Date.parse('2026-11-11T00:00:00Z') * 1_000
export const DIGESTS = ['a', 'b', 'c', 'd'].map((one) => `sha256:${one.repeat(64)}` as Digest)
export const ORIGINS = ['first origin', 'second origin', 'third origin'] as const
export const REPOSITORIES = ['team/app', 'team/web'] as RepositoryPath[]

const whoOf = (origin: string): string =>
  JSON.stringify({
    ...{ endpoint: `endpoint of ${origin}`, source: 'access_log', client: 'docker', kind: 'runtime', signedIn: false },
  } satisfies Who)

/** Requests of three days, most of them around two midnights, of clients that the next salt renames. */
export const fileRequests = (registries: readonly string[], maxLength = 30): fc.Arbitrary<FileRequest[]> =>
  fc
    .array(
      fc.record(
        {
          seconds: fc.oneof(
            { weight: 3, arbitrary: fc.integer({ min: -40, max: 40 }) },
            fc.integer({ min: 85_000, max: 87_800 }),
            fc.integer({ min: -86_400, max: 172_799 }),
          ),
          registry: fc.constantFrom(...registries),
          origin: fc.nat(ORIGINS.length - 1),
          hasPrevious: fc.boolean(),
          repository: fc.constantFrom(...REPOSITORIES),
          object: fc.constantFrom('manifest', 'manifest', 'blob'),
          method: fc.constantFrom('GET', 'GET', 'HEAD'),
          status: fc.constantFrom(200, 200, 200, 304, 404),
          tag: fc.constantFrom('latest' as Tag, '1.0' as Tag),
          digest: fc.constantFrom(...DIGESTS),
          bytes: fc.nat(),
        },
        {
          requiredKeys: ['seconds', 'registry', 'origin', 'hasPrevious', 'repository', 'object', 'method', 'status'],
        },
      ),
      { minLength: 5, maxLength },
    )
    .map((cases) =>
      cases.map(({ seconds, origin, hasPrevious, ...rest }, i) => ({
        ...rest,
        id: i.toString(16).padStart(16, '0'),
        at: MIDNIGHT + seconds * SECOND,
        origin: ORIGINS[origin] ?? '',
        who: whoOf(ORIGINS[origin] ?? ''),
        mayRepeat: true,
        ...(hasPrevious && origin > 0 && { previous: ORIGINS[origin - 1] ?? '' }),
      })),
    )

const groupedBy = <T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> => {
  const groups = new Map<string, T[]>()
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item])
  return groups
}

/** Imports requests as one portion of a file. */
export const importRequests = async (
  { sql: db }: Pick<Database, 'sql'>,
  requests: readonly FileRequest[],
  file = '1',
): Promise<void> => {
  const days = groupedBy(requests, ({ registry, at }) => `${utcDay(at)} ${registry}`)
  const segments = [...days].map(([key, some]) => {
    const [day = '', registry = ''] = key.split(' ')
    return { registry, day, segment: segmentOf(some) }
  })
  await db.transaction().execute(async (tx) => keepSegments(tx, { file, segments, now: IMPORTED_AT }))
}

type Row = Record<string, unknown>

const inOrder = (rows: readonly Row[]): string[] => rows.map((row) => JSON.stringify(row)).sort()

/** The stored outcomes, in the form of `expectedOutcomes`. */
export const storedOutcomes = async ({ sql: db }: Pick<Database, 'sql'>): Promise<string[]> => {
  const { rows } = await sql<Row>`
    select registry, id, what, (extract(epoch from at) * 1000000)::bigint::text as at, repository, origin, tag, digest, gets, layers,
      bytes::text
    from pulls.outcomes
  `.execute(db)
  return inOrder(rows)
}

/** The outcomes of all requests together. */
export const expectedOutcomes = (requests: readonly FileRequest[]): string[] => {
  const changed = [...groupedBy(requests, ({ registry }) => registry).values()].flatMap((some) =>
    foldBatch({ requests: some, chains: createByOrigin() }, { contentsIn: () => () => undefined, windows: WINDOWS }),
  )
  return inOrder(
    changed.map(({ outcome }) => {
      const { registry, id, what, at, repository, origin, tag, digest, bytes } = outcome
      const { gets, layers } = outcome.what === 'invocation' ? outcome : { gets: 0, layers: 0 }
      return {
        ...{ registry, id, what, at: String(at), repository, origin, tag: tag ?? null, digest: digest ?? null },
        ...{ gets, layers, bytes: String(bytes) },
      }
    }),
  )
}

/** All texts that segments and the states of days contain. */
export const importedTexts = async ({ sql: db }: Pick<Database, 'sql'>): Promise<string> => {
  const { rows } = await sql<{ columns: Buffer }>`select columns from pulls.segments`.execute(db)
  const segments = await Promise.all(rows.map(async ({ columns }) => openSegment(Buffer.from(columns))))
  const { rows: days } = await sql<{ state: string | null }>`select state from pulls.segment_days`.execute(db)
  return JSON.stringify([segments, days])
}
