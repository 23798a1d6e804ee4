import { sql } from 'kysely'
import { addClamped, clampedSum } from '../../storage/sql/clamped-sum.js'
import type { Sql } from '../../storage/sql/database.js'
import { inDigestParts } from './digest-parts.js'

/** Sums of the blobs of one repository; `unsized` counts blobs of unknown size, which no sum of bytes contains. */
type BlobSums = { blobs: number; unique: number; shared: number; unsized: number }

/** Sums of all blobs, each once, and by repository. */
export type Sums = { blobs: number; bytes: number; unsized: number; byRepository: Map<number, BlobSums> }

type Row = {
  repository_id: number
  blobs: string
  unique_bytes: string
  shared_bytes: string
  firsts: string
  first_bytes: string
  unsized: string
  first_unsized: string
}

/**
 * Adds up all live blobs by reading their index in the order of digests, part by part. In the total, a blob counts in the first
 * of its repositories.
 */
export const sumBlobs = async (db: Sql): Promise<Sums> => {
  const sums: Sums = { blobs: 0, bytes: 0, unsized: 0, byRepository: new Map() }
  await inDigestParts(db, { table: 'repository_blobs', where: sql`live` }, async (isInPart) => {
    const { rows } = await sql<Row>`
      select repository_id, count(*) as blobs,
        ${clampedSum(sql`bytes`, sql`repositories = 1`)} as unique_bytes,
        ${clampedSum(sql`bytes`, sql`repositories > 1`)} as shared_bytes,
        count(*) filter (where number = 1) as firsts, ${clampedSum(sql`bytes`, sql`number = 1`)} as first_bytes,
        count(*) filter (where bytes is null) as unsized, count(*) filter (where bytes is null and number = 1) as first_unsized
      from (
        select repository_id, coalesce(size, max(size) over same) as bytes,
          count(*) over same as repositories, row_number() over (partition by digest) as number
        from inventory.repository_blobs
        where live and ${isInPart}
        window same as (partition by digest)
      ) numbered
      group by repository_id
    `.execute(db)
    for (const row of rows) add(sums, row)
  })
  return sums
}

const add = (sums: Sums, row: Row): void => {
  sums.blobs += Number(row.firsts)
  sums.bytes = addClamped(sums.bytes, Number(row.first_bytes))
  sums.unsized += Number(row.first_unsized)
  const before = sums.byRepository.get(row.repository_id) ?? { blobs: 0, unique: 0, shared: 0, unsized: 0 }
  sums.byRepository.set(row.repository_id, {
    blobs: before.blobs + Number(row.blobs),
    unique: addClamped(before.unique, Number(row.unique_bytes)),
    shared: addClamped(before.shared, Number(row.shared_bytes)),
    unsized: before.unsized + Number(row.unsized),
  })
}

/**
 * Writes the sums of blobs, with the counts of tags and manifests, for all repositories. Deletes the rows of repositories that
 * were merged into another one: otherwise their unknown sizes would be counted forever.
 */
export const writeRepositoryTotals = async (db: Sql, { byRepository }: Sums): Promise<void> => {
  const sums = [...byRepository.values()]
  await sql`
    with dropped as (
      delete from inventory.repository_totals t
      where not exists (select from inventory.repositories r where r.id = t.repository_id)
    ), blobs as (
      select * from unnest(${[...byRepository.keys()]}::int[], ${sums.map(({ blobs }) => blobs)}::bigint[],
        ${sums.map(({ unique }) => unique)}::bigint[], ${sums.map(({ shared }) => shared)}::bigint[],
        ${sums.map(({ unsized }) => unsized)}::bigint[])
        as b (repository_id, blobs, unique_bytes, shared_bytes, unknown_sizes)
    ), manifests as (
      select repository_id, count(*) as manifests from inventory.repository_manifests where live group by repository_id
    ), tags as (
      select repository_id, count(*) as tags from inventory.live_tags group by repository_id
    )
    insert into inventory.repository_totals as o
      (repository_id, tags, manifests, blobs, unique_bytes, shared_bytes, unknown_sizes)
    select r.id, coalesce(tags, 0), coalesce(manifests, 0), coalesce(blobs, 0), coalesce(unique_bytes, 0),
      coalesce(shared_bytes, 0), coalesce(unknown_sizes, 0)
    from inventory.repositories r
      left join tags on tags.repository_id = r.id
      left join manifests on manifests.repository_id = r.id
      left join blobs on blobs.repository_id = r.id
    on conflict (repository_id) do update
      set tags = excluded.tags, manifests = excluded.manifests, blobs = excluded.blobs,
          unique_bytes = excluded.unique_bytes, shared_bytes = excluded.shared_bytes, unknown_sizes = excluded.unknown_sizes
      where (o.tags, o.manifests, o.blobs, o.unique_bytes, o.shared_bytes, o.unknown_sizes)
        is distinct from (excluded.tags, excluded.manifests, excluded.blobs, excluded.unique_bytes, excluded.shared_bytes,
          excluded.unknown_sizes)
  `.execute(db)
}

/** Writes the only row of inventory.totals. */
export const writeTotals = async (
  db: Sql,
  { blobs, bytes, unsized }: Sums,
  asOf: Date,
  seconds: number,
): Promise<void> => {
  await sql`
    insert into inventory.totals as o
      (registries, repositories, tags, manifests, blobs, bytes, orphaned_blobs, orphaned_bytes, unknown_contents, unknown_sizes, as_of, seconds)
    select r.registries, r.repositories, r.tags, m.manifests, ${blobs}, ${bytes}, f.blobs, f.bytes, u.contents, ${unsized}, ${asOf}, ${seconds}
    from (
        select count(distinct registry) as registries, count(*) as repositories, coalesce(sum(tags), 0) as tags
        from inventory.repositories join inventory.repository_totals on repository_id = id
        where deleted_at is null or manifests > 0 or blobs > 0
      ) r,
      (select count(distinct digest) as manifests from inventory.repository_manifests where live) m,
      (select count(*) as blobs, ${clampedSum(sql`size`)} as bytes from inventory.orphaned_blobs) f,
      (select coalesce(sum(unknown_contents), 0) as contents from inventory.repository_totals) u
    on conflict (only_one) do update
      set registries = excluded.registries, repositories = excluded.repositories, tags = excluded.tags,
          manifests = excluded.manifests, blobs = excluded.blobs, bytes = excluded.bytes,
          orphaned_blobs = excluded.orphaned_blobs, orphaned_bytes = excluded.orphaned_bytes,
          unknown_contents = excluded.unknown_contents, unknown_sizes = excluded.unknown_sizes,
          as_of = excluded.as_of, seconds = excluded.seconds
  `.execute(db)
}
