import { randomUUID } from 'node:crypto'
import { sql } from 'kysely'
import { microsOf } from '../src/events/calendar.js'
import { foldPending } from '../src/pulls/fold-job/fold-pending.js'
import { createProvisionalFold } from '../src/pulls/provisional/fold-provisional.js'
import { readNewRequests } from '../src/pulls/provisional/new-requests.js'
import { WINDOWS } from '../src/pulls/model/join-windows.js'
import { fillPending, type PendingRequest, type Who } from '../src/pulls/requests/pending.js'
import { jobStep } from '../src/storage/sql/retried-transaction.js'
import { migrate } from '../src/schema/migrate.js'
import type { Database, Sql } from '../src/storage/sql/database.js'
import { openPostgres } from '../src/storage/sql/postgres.js'
import { contentsOfAll, pullsOf } from './pull-requests.js'
import { sampleOf, type Row } from './sample.js'

const REQUESTS = 300_000
const AT_ONCE = 10_000
/** Of one registry in one run. */
const FIRST = 10_000
const START = Date.parse('2026-11-18T00:00:00Z')
const MINUTE = 60_000
const LATENESS = 300_000_000

/** Requests folded a second from PostgreSQL into PostgreSQL, beside moving the same rows from table to table. */
export const benchPullsStored = async (url: string, { rounds }: { rounds: number }): Promise<Row[]> => {
  const database = openPostgres(url)
  try {
    await migrate(database.sql)
    await fillManifests(database.jobs)
    await fillSource(database)
    const [folded, moved, shown, read]: [number[], number[], number[], number[]] = [[], [], [], []]
    // The first round warms up.
    for (let round = 0; round < rounds + 1; round++) {
      const move = await moveAll(database)
      const fold = await foldAll(database)
      const show = await showAll(database)
      if (round === 0) continue
      shown.push(REQUESTS / show.all)
      read.push(show.firstRead * 1000)
      folded.push(REQUESTS / fold)
      moved.push(REQUESTS / move)
    }
    return [
      {
        measured: 'fold of requests through PostgreSQL',
        unit: 'requests/s',
        sample: sampleOf(folded),
        target: { least: 50_000 },
        limit: {
          what: 'of moving the rows alone',
          ratio: sampleOf(folded.map((one, i) => one / (moved[i] ?? NaN))),
        },
      },
      { measured: 'provisional fold of requests through PostgreSQL', unit: 'requests/s', sample: sampleOf(shown) },
      {
        measured: `first read of ${FIRST} of ${REQUESTS} pending requests`,
        unit: 'ms',
        sample: sampleOf(read),
      },
    ]
  } finally {
    await database.close()
  }
}

const seconds = async (work: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await work()
  return (performance.now() - start) / 1000
}

const foldAll = async (database: Database): Promise<number> => {
  await fill(database.jobs)
  const took = await seconds(async () => {
    // Of the second run all is old enough.
    for (const minutes of [120, 180]) {
      await foldPending({
        database,
        windows: WINDOWS,
        lateness: LATENESS,
        now: () => new Date(START + minutes * MINUTE),
        onFolded: async (_tx, { late }) =>
          late > 0 ? Promise.reject(new Error('nothing is late')) : Promise.resolve(),
      })
    }
  })
  const { rows } = await sql<{ left: string; outcomes: string }>`
    select (select count(*) from pulls.pending) as left, (select count(*) from pulls.outcomes) as outcomes
  `.execute(database.jobs)
  if (Number(rows[0]?.left) > 0 || Number(rows[0]?.outcomes) === 0) throw new Error('not all was folded')
  return took
}

/** What a process does that begins to show what is pending: it reads the first requests, then folds all without settling them. */
const showAll = async (database: Database): Promise<{ firstRead: number; all: number }> => {
  await fill(database.jobs)
  const now = new Date(START + 180 * MINUTE)
  const firstRead = await seconds(async () =>
    database.jobs
      .transaction()
      .execute(async (tx) =>
        readNewRequests(tx, { shown: undefined, until: microsOf(now), most: FIRST, mostOfRegistry: FIRST }),
      ),
  )
  const show = createProvisionalFold({
    database,
    windows: WINDOWS,
    now: () => now,
    holder: randomUUID(),
    sizes: { batch: 1_000, run: REQUESTS, registry: REQUESTS, unsettled: REQUESTS },
  })
  await sql`truncate provisional.run, provisional.hidden`.execute(database.jobs)
  const all = await seconds(show)
  const { rows } = await sql`select from provisional.outcomes limit 1`.execute(database.jobs)
  if (rows.length === 0) throw new Error('nothing was shown')
  return { firstRead, all }
}

const moveAll = async (database: Database): Promise<number> => {
  await fill(database.jobs)
  return seconds(async () =>
    sql`
      with taken as (delete from pulls.pending returning *)
      insert into pulls.requests (id, registry, at, repository, origin, request, who, is_late)
      select id, registry, at, repository, origin, request, who, false from taken
    `.execute(database.jobs),
  )
}

const fill = async (db: Sql): Promise<void> => {
  await sql`
    truncate provisional.outcomes, pulls.pending, pulls.requests, pulls.outcomes, pulls.chains, pulls.registries, pulls.totals
  `.execute(db)
  await sql`insert into pulls.pending select * from bench_source`.execute(db)
  await sql`vacuum analyze pulls.pending`.execute(db)
}

/** As the webhook keeps them. */
const fillSource = async (database: Database): Promise<void> => {
  const requests = pending()
  for (let from = 0; from < requests.length; from += AT_ONCE) {
    const some = requests.slice(from, from + AT_ONCE)
    const { part, values } = fillPending(some)
    const fresh = `fresh as (select unnest($${values.length + 1}::uuid[]) as id)`
    const statement = { name: 'bench_fill', text: `with ${fresh}, ${part.text((n) => `$${n}`)} select 1` }
    await jobStep({ sql: database.jobs }, async ({ run }) => run(statement, [...values, some.map(({ id }) => id)]))
  }
  await sql`create table bench_source as select * from pulls.pending`.execute(database.jobs)
}

const WHO: Who = {
  endpoint: 'endpoint-of-22-letters',
  source: 'notification',
  client: 'containerd',
  version: '1.7.21',
  kind: 'runtime',
  os: 'linux',
  arch: 'amd64',
  country: 'DE',
  network: 'AS64496 Example',
  signedIn: false,
}

const pending = (): PendingRequest[] =>
  pullsOf(REQUESTS).map((request) => ({
    ...request,
    id: randomUUID(),
    at: START * 1_000 + request.at,
    who: JSON.stringify({ ...WHO, endpoint: `endpoint-of-${request.origin.slice(-10)}` }),
  }))

/** So that the inventory knows what the manifests hold. */
const fillManifests = async (db: Sql): Promise<void> => {
  const known = [...contentsOfAll()]
  const blobs = known.flatMap(([manifest, contents]) =>
    contents.kind === 'image'
      ? [contents.config ?? '', ...(contents.layers as ReadonlySet<string>)].map((digest, position) => ({
          manifest,
          digest,
          position,
        }))
      : [],
  )
  const children = known.flatMap(([manifest, contents]) =>
    contents.kind === 'index'
      ? [...(contents.children as ReadonlySet<string>)].map((digest) => ({ manifest, digest }))
      : [],
  )
  await sql`
    insert into inventory.manifests (digest, media_type)
    select * from unnest(${known.map(([digest]) => digest)}::text[], ${known.map(([, { kind }]) => `application/vnd.oci.image.${kind === 'index' ? 'index' : 'manifest'}.v1+json`)}::text[])
  `.execute(db)
  await sql`
    insert into inventory.manifest_blobs (manifest_digest, position, digest, media_type)
    select *, 'application/vnd.oci.image.config.v1+json' from unnest(
      ${blobs.map(({ manifest }) => manifest)}::text[], ${blobs.map(({ position }) => position)}::int[],
      ${blobs.map(({ digest }) => digest)}::text[]
    )
  `.execute(db)
  await sql`
    update inventory.manifest_blobs set media_type = 'application/vnd.oci.image.layer.v1.tar+gzip' where position > 0
  `.execute(db)
  await sql`
    insert into inventory.manifest_children (manifest_digest, position, digest, os, architecture)
    select *, 'linux', 'amd64' from unnest(
      ${children.map(({ manifest }) => manifest)}::text[], ${children.map(() => 0)}::int[],
      ${children.map(({ digest }) => digest)}::text[]
    )
  `.execute(db)
}
