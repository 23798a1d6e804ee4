import { sql } from 'kysely'
import { WINDOWS } from '../src/pulls/fold/windows.js'
import { foldPending } from '../src/pulls/jobs/fold-pending.js'
import { migrate } from '../src/storage/migrate.js'
import type { Sql } from '../src/storage/database.js'
import { openPostgres } from '../src/storage/postgres.js'
import { sampleOf, type Row } from './sample.js'

const REQUESTS = 200_000
const START = Date.parse('2026-11-18T00:00:00Z')
const SECOND = 1_000_000

/** Requests folded a second from PostgreSQL into PostgreSQL, beside moving the same rows from table to table. */
export const benchPullsStored = async (url: string, { rounds }: { rounds: number }): Promise<Row[]> => {
  const database = openPostgres(url)
  try {
    await migrate(database.sql)
    const [folded, moved]: [number[], number[]] = [[], []]
    for (let round = 0; round < rounds + 1; round++) {
      await sql`truncate pulls.pending, pulls.outcomes, pulls.chains, pulls.registries`.execute(database.jobs)
      await fill(database.jobs)
      const move = await seconds(async () => {
        await sql`create table pulls.moved as select * from pulls.pending`.execute(database.jobs)
      })
      await sql`drop table pulls.moved`.execute(database.jobs)
      const fold = await seconds(async () => {
        for (const minutes of [60, 120]) {
          await foldPending({
            database,
            windows: WINDOWS,
            lateness: 300 * SECOND,
            now: () => new Date(START + minutes * 60_000),
            onLate: async () => Promise.reject(new Error('nothing is late')),
          })
        }
      })
      const { rows } = await sql<{ left: string; outcomes: string }>`
        select (select count(*) from pulls.pending) as left, (select count(*) from pulls.outcomes) as outcomes
      `.execute(database.jobs)
      if (Number(rows[0]?.left) > 0 || Number(rows[0]?.outcomes) === 0) throw new Error('not all was folded')
      if (round === 0) continue
      folded.push(REQUESTS / fold)
      moved.push(REQUESTS / move)
    }
    return [
      {
        measured: 'fold of requests through PostgreSQL',
        unit: 'requests/s',
        sample: sampleOf(folded),
        target: { least: 50_000 },
        limit: { what: 'of copying the rows', ratio: sampleOf(folded.map((one, i) => one / (moved[i] ?? NaN))) },
      },
    ]
  } finally {
    await database.close()
  }
}

const seconds = async (work: () => Promise<void>): Promise<number> => {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

/** Half an hour of checks and pulls, a HEAD and three GETs in turn, by 5,000 origins in 500 repositories. */
const fill = async (db: Sql): Promise<void> => {
  await sql`
    insert into pulls.pending (id, registry, at, request)
    select gen_random_uuid(), 'registry.example', at, json_build_object(
      'at', (extract(epoch from at) * 1000000)::bigint, 'repository', 'team/app-' || (n / 8 * 7919) % 500,
      'object', case when n % 8 = 7 then 'blob' else 'manifest' end,
      'method', case when n % 8 < 5 then 'HEAD' else 'GET' end, 'status', 200,
      'tag', case when n % 8 < 6 then 'latest' end,
      'digest', 'sha256:' || repeat(case when n % 8 = 6 then 'a' when n % 8 = 7 then 'd' else '1' end, 64),
      'mediaType', case when n % 8 = 6 then 'application/vnd.oci.image.manifest.v1+json'
        else 'application/vnd.oci.image.index.v1+json' end,
      'who', json_build_object('origin', 'origin-of-22-chars-' || (n / 8 * 104729) % 5000, 'endpoint', 'endpoint-22-chars',
        'source', 'notification', 'client', 'containerd', 'version', '1.7.21', 'kind', 'runtime', 'signedIn', false,
        'fetchesTwice', false)
    )::text
    from (
      select n::bigint, ${new Date(START)}::timestamptz + n * interval '9 milliseconds' as at
      from generate_series(1, ${REQUESTS}) n
    ) asked
  `.execute(db)
}
