import { sql, type Kysely, type Migration, type RawBuilder } from 'kysely'

/**
 * The views of RegStat, replaced. A live row and an audit row take each column from the same fragment. Audit rows stay when an
 * object is pushed again: as RegStat has one row for each digest or name, the row shows the newest life that ended.
 *
 * `create or replace` keeps the rights of roles on the views.
 */

/**
 * One row for each manifest: its times in all repositories, and its last delete (`died_at`). `was_seen`: the manifest existed
 * before. `stayed`: another repository had it at that time, so that it did not end. If a repository deleted it earlier and
 * has it now, the time of its return is unknown: the manifest counts as one that stayed.
 */
const lives = (rows: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  select digest, died_at, bool_or(live) as live, max(seen_at) as seen_at, max(pushed_at) as pushed_at, min(first_at) as first_at,
    max(pulled_at) as pulled_at, max(pulled_before) as pulled_before, max(told_at) as told_at,
    coalesce(min(first_at) <= died_at, false) as was_seen,
    coalesce(bool_or(live and first_at <= died_at and deleted_at is distinct from died_at), false) as stayed
  from (${rows}) placed
  group by digest, died_at`

const manifestLives = lives(sql`
  select m.digest, m.live, m.seen_at, m.pushed_at, m.pulled_at, m.deleted_at, m.first_seen_at as first_at, m.died_at,
    case when m.pulled_at <= m.died_at then m.pulled_at end as pulled_before, told.at as told_at
  from (
    select *, max(deleted_at) over (partition by digest) as died_at from inventory.repository_manifests
  ) m
    left join lateral (
      select max(c.at) as at from inventory.changes c
      where m.live and m.died_at is not null and c.repository_id = m.repository_id and c.digest = m.digest
        and c.action = 'push' and c.at <= m.died_at
    ) told on true`)

// RegStat lets a push or pull of an image touch the blobs of the image. A blob without an event of its own was first seen with its
// first manifest.
const blobLives = lives(sql`
  select b.digest, b.live, b.seen_at, b.pushed_at, b.deleted_at, b.died_at,
    least(b.first_seen_at, touched.first_at) as first_at, greatest(b.pulled_at, touched.at) as pulled_at,
    greatest(case when b.pulled_at <= b.died_at then b.pulled_at end, touched.before) as pulled_before,
    null::timestamptz as told_at
  from (
    select *, max(deleted_at) over (partition by digest) as died_at from inventory.repository_blobs
  ) b
    left join lateral (
      select min(m.first_seen_at) as first_at, max(greatest(m.pushed_at, m.pulled_at)) as at,
        max(greatest(case when m.pushed_at <= b.died_at then m.pushed_at end, case when m.pulled_at <= b.died_at then m.pulled_at end,
          case when m.first_seen_at <= b.died_at then m.first_seen_at end)) as before
      from inventory.manifest_blobs mb
        join inventory.repository_manifests m on m.repository_id = b.repository_id and m.digest = mb.manifest_digest
      where mb.digest = b.digest
    ) touched on true`)

/** Without a known push, the time of the push is the first time seen in any repository, which never becomes later. */
const pushed = sql`coalesce(pushed_at, first_at)`
const liveRows = (rows: RawBuilder<unknown>): RawBuilder<unknown> =>
  sql`select digest, ${pushed} as pushed, pulled_at as pulled from (${rows}) o where live`

/**
 * Objects that ended, and objects that ended once and exist again. Of a life that ended, each push by tag is kept. The push of a
 * blob, or of a manifest without a tag, is the first one seen.
 */
const deletedRows = (rows: RawBuilder<unknown>): RawBuilder<unknown> => sql`
  select digest,
    case when pushed_at <= died_at or not live then ${pushed} else coalesce(told_at, first_at) end as pushed,
    pulled_before as pulled, died_at as deleted
  from (${rows}) o
  where died_at is not null and case when live then was_seen and not stayed else coalesce(seen_at, first_at) is not null end`

/** Manifests that contain blobs, and indexes, which list blobs if BuildKit stores a cache in them. */
const PARTS = sql`(
  select manifest_digest, digest, false as listed from inventory.manifest_blobs
  union all select manifest_digest, digest, true from inventory.manifest_children
)`

// The tag ended with the first delete after it pointed to the digest: a delete of the tag, or of the digest.
const ENDED_AT = sql`least(
  case when t.deleted_at >= t.pointed_at then t.deleted_at end, case when m.deleted_at >= t.pointed_at then m.deleted_at end)`

const statements = [
  sql`create or replace view regstat.manifests as ${liveRows(manifestLives)}`,
  sql`create or replace view regstat.blobs as ${liveRows(blobLives)}`,
  sql`create or replace view regstat.deleted_manifests as ${deletedRows(manifestLives)}`,
  // A row that was neither seen nor is in a manifest is the mark of a deleted manifest.
  sql`create or replace view regstat.deleted_blobs as ${deletedRows(blobLives)}`,

  // A delete does not show whether a manifest or a blob was deleted: an entry of an index is a blob only if it was seen as one. A
  // pair whose manifest ended and exists again is kept, unless the blob ended, too: "manifests with missing blobs" would find it.
  sql`create or replace view regstat.deleted_manifest_blob as
    select p.manifest_digest, p.digest as blob_digest, max(greatest(m.deleted_at, b.deleted_at)) as deleted
    from ${PARTS} p
      join inventory.repository_manifests m on m.digest = p.manifest_digest and m.seen_at is not null
      join inventory.repository_blobs b on b.repository_id = m.repository_id and b.digest = p.digest
    where b.seen_at is not null or not p.listed
    group by p.manifest_digest, p.digest
    having not bool_or(m.live and b.live)
      or bool_and(m.deleted_at is not null and m.first_seen_at <= m.deleted_at) and not bool_or(b.deleted_at is not null)`,

  // A tag that ended, or the newest ended life of a tag that exists again: a push by tag, and the first delete between this push
  // and the next one: of the tag, of the pushed digest, or of the repository.
  sql`create or replace view regstat.deleted_tags as
    select r.registry || '/' || r.name || ':' || o.name as name, r.registry, r.name as repository, o.name as tag,
      o.digest as manifest_digest, o.pushed, o.pulled, o.deleted
    from (
      select t.repository_id, t.name, t.digest, coalesce(t.pushed_at, t.first_seen_at) as pushed, t.pulled_at as pulled,
        ${ENDED_AT} as deleted
      from inventory.tags t
        left join inventory.repository_manifests m on m.repository_id = t.repository_id and m.digest = t.digest
      where t.pointed_at <= greatest(t.deleted_at, m.deleted_at)
      union all
      select t.repository_id, t.name, ended.digest, ended.pushed,
        case when t.pulled_at <= ended.deleted then t.pulled_at end, ended.deleted
      from inventory.live_tags t
        cross join lateral (
          select life.digest, life.at as pushed, min(e.at) as deleted
          from (
            select c.digest, c.at, lead(c.at) over (order by c.at) as next_at
            from inventory.changes c
            where c.repository_id = t.repository_id and c.tag = t.name and c.action = 'push'
          ) life
            join inventory.changes e on e.repository_id = t.repository_id and e.action <> 'push'
              and (e.tag = t.name or e.tag is null and (e.digest is null or e.digest = life.digest))
              and e.at >= life.at and e.at < coalesce(life.next_at, t.pointed_at)
          group by life.digest, life.at
          order by life.at desc
          limit 1
        ) ended
    ) o
      join inventory.repositories r on r.id = o.repository_id`,
]

export const regstatHistory: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
