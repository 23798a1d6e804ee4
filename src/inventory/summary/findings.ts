import { sql, type RawBuilder } from 'kysely'
import type { Database, Sql } from '../../storage/database.js'
import type { Sums } from './sums.js'

/** Repositories whose ids are greater than `after` and at most `to`; without a bound, all that remain. */
type Range = { after?: number | undefined; to?: number | undefined }

/** Blobs that are looked at in one statement, unless one repository has more: half a second, in which others wait for PGlite. */
const BLOBS_AT_ONCE = 100_000

/** All repositories, in parts that take about the same time. */
const rangesOf = ({ byRepository }: Sums): Range[] => {
  const cuts: number[] = []
  let blobs = 0
  for (const [id, sums] of [...byRepository].sort(([a], [b]) => a - b)) {
    blobs += sums.blobs
    if (blobs < BLOBS_AT_ONCE) continue
    cuts.push(id)
    blobs = 0
  }
  return [undefined, ...cuts].map((after, i) => ({ after, to: cuts[i] }))
}

/**
 * Brings the findings up to date: on PostgreSQL all at once, since reading everything in the order of the disk takes a tenth of
 * the time of a million look-ups; on the embedded database, where others wait, part by part.
 */
export const refreshFindings = async (
  { engine, jobs }: Pick<Database, 'engine' | 'jobs'>,
  sums: Sums,
): Promise<void> => {
  for (const range of engine === 'postgresql' ? [{}] : rangesOf(sums)) {
    await jobs.transaction().execute(async (tx) => {
      await sql.raw(`set local work_mem = '${WORK_MEM}'`).execute(tx)
      await refreshBlobFindings(tx, range)
      await refreshMostTagged(tx, range)
    })
  }
}

/** So that a million manifests are read once and not in turns; more would be too much beside others. */
const WORK_MEM = '128MB'

type Table = { table: string; key: readonly string[]; values: readonly string[] }

const ORPHANED: Table = {
  table: 'orphaned_blobs',
  key: ['repository_id', 'digest'],
  values: ['size', 'manifest_at', 'implied'],
}
const MISSING: Table = { table: 'missing_blobs', key: ['repository_id', 'manifest_digest', 'digest'], values: [] }
const MOST_TAGGED: Table = { table: 'most_tagged', key: ['repository_id', 'digest'], values: ['tags'] }

const within = (column: string, { after, to }: Range): RawBuilder<unknown> => sql`(
  ${after === undefined ? sql`true` : sql`${sql.raw(column)} > ${after}`}
  and ${to === undefined ? sql`true` : sql`${sql.raw(column)} <= ${to}`}
)`

/** What live manifests have. `offset 0` keeps PostgreSQL from reading the blobs of all manifests for each part. */
const heldIn = (range: Range): RawBuilder<unknown> =>
  range.after === undefined && range.to === undefined
    ? sql`
      select m.repository_id, m.digest as manifest_digest, p.digest, p.listed
      from inventory.repository_manifests m
        join (
          select manifest_digest, digest, false as listed from inventory.manifest_blobs
          union all select manifest_digest, digest, true from inventory.manifest_children
        ) p on p.manifest_digest = m.digest
      where m.live`
    : sql`
      select m.repository_id, m.digest as manifest_digest, p.digest, p.listed
      from inventory.repository_manifests m
        join lateral (
          select digest, false as listed from inventory.manifest_blobs where manifest_digest = m.digest
          union all select digest, true from inventory.manifest_children where manifest_digest = m.digest
          offset 0
        ) p on true
      where m.live and ${within('m.repository_id', range)}`

/**
 * What live manifests have is found once, and compared with the blobs: live ones that none has, and those of theirs that are
 * gone.
 *
 * An index may list blobs, as BuildKit's caches do. Nothing tells a delete of a manifest from that of a blob, so what it lists
 * is a blob that is gone only when it was seen as one.
 */
const refreshBlobFindings = async (db: Sql, range: Range): Promise<void> => {
  await sql`
    with held as materialized (${heldIn(range)}
    ), blobs as not materialized (
      select * from inventory.repository_blobs where ${within('repository_id', range)}
    ), found_orphans as materialized (
      select b.repository_id, b.digest, coalesce(b.size, 0) as size, b.manifest_at, b.implied
      from blobs b
      where b.live and not exists (select from held h where h.repository_id = b.repository_id and h.digest = b.digest)
    ), found_missing as materialized (
      select distinct h.repository_id, h.manifest_digest, h.digest
      from blobs b join held h on h.repository_id = b.repository_id and h.digest = b.digest
      where not b.live and (b.seen_at is not null or not h.listed)
    ), ${replacing(ORPHANED, 'found_orphans', range)}, ${replacing(MISSING, 'found_missing', range)}
    select
  `.execute(db)
}

const refreshMostTagged = async (db: Sql, range: Range): Promise<void> => {
  await sql`
    with found as materialized (
      select repository_id, digest, count(*) as tags
      from inventory.live_tags where ${within('repository_id', range)}
      group by repository_id, digest having count(*) > 1
    ), ${replacing(MOST_TAGGED, 'found', range)}
    select
  `.execute(db)
}

/** Parts of a statement that make a table hold what was found; rows that stay as they are are not written. */
const replacing = ({ table, key, values }: Table, found: string, range: Range): RawBuilder<unknown> => {
  const target = sql.raw(`inventory.${table}`)
  const columns = sql.raw([...key, ...values].join(', '))
  const sameKey = sql.raw(key.map((column) => `f.${column} = o.${column}`).join(' and '))
  const list = (of: string): string => values.map((value) => `${of}.${value}`).join(', ')
  const renewed =
    values.length === 0
      ? sql`nothing`
      : sql.raw(`update set ${values.map((value) => `${value} = excluded.${value}`).join(', ')}
          where (${list('o')}) is distinct from (${list('excluded')})`)
  return sql`
    gone_from_${sql.raw(table)} as (
      delete from ${target} o
      where ${within('o.repository_id', range)} and not exists (select from ${sql.raw(found)} f where ${sameKey})
    ), added_to_${sql.raw(table)} as (
      insert into ${target} as o (${columns}) select ${columns} from ${sql.raw(found)}
      on conflict (${sql.raw(key.join(', '))}) do ${renewed}
    )`
}
