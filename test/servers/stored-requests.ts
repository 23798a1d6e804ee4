import { sql } from 'kysely'
import { isoTime, utcDay } from '../../src/events/calendar.js'
import type { Digest, RepositoryPath, Tag } from '../../src/events/reference.js'
import type { Who } from '../../src/pulls/requests/pending.js'
import { keepSegments } from '../../src/pulls/segments/segment-table.js'
import { segmentOf, type FileRequest } from '../support/segments.js'
import { NOW } from './clock.js'
import type { TestStores } from './stores.js'

export const REGISTRY = 'registry.example'
export const MIDNIGHT = Date.parse('2026-11-18T00:00:00Z') * 1_000
const SECOND = 1_000_000

const whoOf = (origin: string, source: Who['source']): string =>
  JSON.stringify({
    endpoint: `of ${origin}`,
    source,
    client: 'docker',
    version: '27',
    kind: 'cli',
    signedIn: true,
  } satisfies Who)

/** Requests in files, of two days; some have equal times. */
export const REQUESTS = Array.from({ length: 40 }, (_, i): FileRequest => {
  const origin = `origin ${i % 3}`
  return {
    id: (i + 1).toString(16).padStart(16, '0'),
    at: MIDNIGHT + Math.floor(i / 2) * 7_000 * SECOND + 5,
    registry: REGISTRY,
    repository: `team/${i % 4}` as RepositoryPath,
    origin,
    who: whoOf(origin, 'access_log'),
    object: 'manifest',
    method: i % 5 === 0 ? 'HEAD' : 'GET',
    status: 200,
    tag: 'latest' as Tag,
    digest: `sha256:${'a'.repeat(64)}` as Digest,
    bytes: i * 1_000,
  }
})

/** Stores requests as if they were imported, each list from one file. */
export const keepInFiles = async (
  { database }: Pick<TestStores, 'database'>,
  files: readonly (readonly FileRequest[])[],
): Promise<void> => {
  for (const [i, file] of files.entries()) {
    const days = [...new Set(file.map(({ at }) => utcDay(at)))]
    const segments = days.map((day) => ({
      ...{ registry: REGISTRY, day },
      segment: segmentOf(file.filter(({ at }) => utcDay(at) === day)),
    }))
    await database.transaction(async (tx) => keepSegments(tx, { file: String(i), segments, now: NOW }))
  }
}

export type LiveRequest = { n: number; table: 'requests' | 'pending'; at?: number }

/** Stores requests as if they arrived in notifications. */
export const keepLive = async (
  { database }: Pick<TestStores, 'database'>,
  rows: readonly LiveRequest[],
): Promise<void> => {
  for (const { n, table, at = MIDNIGHT + n * SECOND } of rows) {
    const request = { at, object: 'manifest', method: 'GET', status: 200, previous: 'previous origin' }
    const id = `00000000-0000-0000-0000-${String(n).padStart(12, '0')}`
    const values = sql`${id}::uuid, ${isoTime(at)}::timestamptz, ${REGISTRY}, 'team/live', 'origin live',
      ${JSON.stringify(request)}, ${whoOf('live', 'notification')}`
    if (table === 'pending')
      await sql`insert into pulls.pending (id, at, registry, repository, origin, request, who) values (${values})`.execute(
        database.sql,
      )
    else
      await sql`
        insert into pulls.requests (id, at, registry, repository, origin, request, who, is_late) values (${values}, ${n % 2 === 1})
      `.execute(database.sql)
  }
}

/** Stores 41 outcomes of two days, most of them invocations. */
export const keepInvocations = async ({ database }: Pick<TestStores, 'database'>): Promise<void> => {
  await sql`
    insert into pulls.outcomes (id, what, at, registry, repository, tag, by_tag, origin, endpoint, source, gets, client, kind, bytes)
    select lpad(n::text, 16, '0'), case when n % 7 = 0 then 'failure' else 'invocation' end, '2026-11-18Z'::timestamptz + n * interval '1 hour',
      ${REGISTRY}, 'team/' || n % 3, '1.0', true, 'origin ' || n % 5, 'endpoint', case when n % 2 = 0 then 'access_log' else 'notification' end,
      n % 2, 'docker', 'cli', n::bigint * 5000000000
    from generate_series(0, 40) n
  `.execute(database.sql)
  await sql`insert into pulls.registries (registry, folded_to) values (${REGISTRY}, '2026-11-20Z')
    on conflict (registry) do update set folded_to = excluded.folded_to`.execute(database.sql)
}
