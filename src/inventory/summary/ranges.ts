import { sql } from 'kysely'
import type { Database, Sql } from '../../storage/sql/database.js'
import { entriesListing } from '../model/index-entries.js'
import { MOST_FOLLOWED } from '../questions/sql-parts.js'
import { inDigestParts } from './digest-parts.js'
import { blobsOf, childrenOf } from './list-lengths.js'

/**
 * Repositories whose ids are greater than `after` and at most `to`; without a bound, all remaining ones. The manifests of
 * `unread` repositories count as unknown.
 */
export type Range = {
  after?: number | undefined
  to?: number | undefined
  unread: readonly number[]
  /** Entries that are read of manifests that no event showed. */
  mostUnobserved: number
}

/**
 * What the statements of the findings read of a repository: its own rows, entries of lists, and how many of these are in long
 * lists.
 */
type Weight = { own: number; entries: number; inLongLists: number }
export type Weights = ReadonlyMap<number, Weight>

export type Limits = {
  /** Rows of the repositories of one range. Only the last repository may exceed it. */
  ofRange: number
  /** Entries of one repository: a repository with more is not read. */
  ofRepository: number
  /** Entries of long lists in all repositories. The first repositories are read, others with such lists are not. */
  inLongLists: number
  /** Entries that are read, in one range, of manifests that no event showed. */
  mostUnobserved: number
}

/**
 * PostgreSQL reads everything at once as long as the disk is fast enough: a sequential scan takes a tenth of the time of a
 * million look-ups. On the embedded database, which blocks others, a range takes some tenths of a second, and the largest
 * repository that is read some seconds.
 */
export const LIMITS: Record<Database['engine'], Limits> = {
  postgresql: { ofRange: 100_000_000, ofRepository: 100_000_000, inLongLists: 20_000_000, mostUnobserved: 5_000_000 },
  pglite: { ofRange: 30_000, ofRepository: 300_000, inLongLists: 300_000, mostUnobserved: 50_000 },
}

/** The cost of an entry of an index, in rows: the entry is also looked up among the manifests of its repository. */
const OF_CHILD = 2

/**
 * A list with more entries is long. It is stored once, but read for each repository that has its manifest, so a made-up list
 * costs its sender little. Images have at most about 130 layers.
 */
const LONG = 200

/**
 * Computes how much the manifests of each repository list, and how many indexes list them, as far as that is read. A manifest
 * that lists indexes is followed for each row.
 */
export const weighRepositories = async (db: Sql): Promise<Weights> => {
  const weights = new Map<number, Weight>()
  const add = (repositoryId: number, own: number, entries: number, inLongLists: number): void => {
    const before = weights.get(repositoryId) ?? { own: 0, entries: 0, inLongLists: 0 }
    weights.set(repositoryId, {
      own: before.own + own,
      entries: before.entries + entries,
      inLongLists: before.inLongLists + inLongLists,
    })
  }
  const { rows: totals } = await sql<{ repository_id: number; own: string }>`
    select repository_id, tags + blobs as own from inventory.repository_totals
  `.execute(db)
  for (const total of totals) add(total.repository_id, Number(total.own), 0, 0)
  await inDigestParts(db, { table: 'repository_manifests', where: sql`true` }, async (isInPart) => {
    const { rows } = await sql<{ repository_id: number; own: string; entries: string; long: string }>`
      select o.repository_id, count(*) as own,
        sum(l.parents + case when o.live then l.children * ${OF_CHILD} + l.blobs + l.followed else 0 end)::bigint as entries,
        coalesce(sum(l.children + l.blobs) filter (where o.live and l.children + l.blobs > ${LONG}), 0)::bigint as long
      from (
        select repository_ids, lives, parents, children, blobs, case when children > 0 and exists (
            select from (
              select digest from inventory.manifest_children where manifest_digest = m.digest limit ${MOST_FOLLOWED + 1}
            ) c where exists (select from inventory.manifest_children where manifest_digest = c.digest offset 0)
          ) then ${MOST_FOLLOWED} else 0 end as followed
        from (
          select *, ${childrenOf(sql`d.digest`)} as children, ${blobsOf(sql`d.digest`)} as blobs, (
            select count(*) from (
              select from ${entriesListing(sql`d.digest`, MOST_FOLLOWED + 1)} e
            ) p
          ) as parents
          from (
            select digest, array_agg(repository_id) as repository_ids, array_agg(live) as lives
            from inventory.repository_manifests where ${isInPart}
            group by digest
          ) d
          offset 0
        ) m
        offset 0
      ) l cross join lateral unnest(l.repository_ids, l.lives) as o (repository_id, live)
      group by o.repository_id
    `.execute(db)
    for (const row of rows) add(row.repository_id, Number(row.own), Number(row.entries), Number(row.long))
  })
  return weights
}

/** All repositories, in ranges that take about the same time. Repositories beyond the limits are unread. */
export const rangesOf = (weights: Weights, limits: Limits): Range[] => {
  const { mostUnobserved } = limits
  const ranges: Range[] = []
  let after: number | undefined
  let unread: number[] = []
  let inRange = 0
  let inLongLists = 0
  for (const [id, weight] of [...weights].sort(([a], [b]) => a - b)) {
    const isRead =
      weight.entries <= limits.ofRepository &&
      (weight.inLongLists === 0 || inLongLists + weight.inLongLists <= limits.inLongLists)
    inRange += weight.own
    if (isRead) {
      inRange += weight.entries
      inLongLists += weight.inLongLists
    } else {
      unread.push(id)
    }
    if (inRange < limits.ofRange) continue
    ranges.push({ after, to: id, unread, mostUnobserved })
    after = id
    unread = []
    inRange = 0
  }
  return [...ranges, { after, to: undefined, unread, mostUnobserved }]
}

/** The same range, with all repositories that have rows unread. */
export const unreadRange = (range: Range, weights: Weights): Range => {
  const { after = -Infinity, to = Infinity } = range
  const ids = [...weights].filter(([id, { own }]) => id > after && id <= to && own > 0).map(([id]) => id)
  return { ...range, unread: ids }
}
