import { sql, type RawBuilder } from 'kysely'
import { isCancelled, type Database, type Sql } from '../../storage/sql/database.js'
import { eachAlone } from '../../storage/each-alone.js'
import { mayBeTagged } from '../model/tag-doubt.js'
import { isInTooManyIndexes } from '../questions/indexes-above.js'
import { allThatLeadsIsKnown, areUntagged, isNoReferrer, refersToNothingHere } from '../questions/unused-manifests.js'
import { missingParts } from './missing-parts.js'
import { LIMITS, rangesOf, unreadRange, weighRepositories, type Range } from './ranges.js'
import { partsInUse, listOf, namedManifests, orphans, usedManifests, within } from './used-parts.js'

/**
 * Updates the findings, range by range. If the embedded database cancelled a slow statement of a range, the contents of its
 * repositories count as unknown, as in repositories that are too large. PostgreSQL has one range, and half an hour for it: an
 * error there ends the run.
 * @returns the errors of the ranges whose contents are unknown
 * @throws AggregateError after the last range, if a statement was cancelled a second time: the findings of these ranges are out
 * of date
 */
export const refreshFindings = async (
  { engine, jobs }: Pick<Database, 'engine' | 'jobs'>,
  at: Date,
  limits = LIMITS[engine],
): Promise<unknown[]> => {
  const refresh = async (range: Range): Promise<void> =>
    jobs.transaction().execute(async (tx) => refreshRange(tx, engine, { range, at }))
  const mayGoOn = (error: unknown): boolean => engine === 'pglite' && isCancelled(error)
  const weights = await weighRepositories(jobs)
  const cancelled: unknown[] = []
  await eachAlone(
    rangesOf(weights, limits),
    async (range) => {
      try {
        await refresh(range)
      } catch (error) {
        if (!mayGoOn(error)) throw error
        await refresh(unreadRange(range, weights))
        cancelled.push(error)
      }
    },
    (error) => !mayGoOn(error),
  )
  return cancelled
}

const refreshRange = async (
  tx: Sql,
  engine: Database['engine'],
  { range, at }: { range: Range; at: Date },
): Promise<void> => {
  await sql
    .raw(`set local work_mem = '${WORK_MEM[engine]}'; set local statement_timeout = '${LONGEST_STATEMENT}'`)
    .execute(tx)
  await refreshBlobFindings(tx, range, at)
  await refreshUndecidedManifests(tx, range)
  await refreshUnknownSubjects(tx, range)
  await refreshMostTagged(tx, range)
}

/**
 * Memory for each sort and table of a statement. With this memory, PostgreSQL reads a million manifests once instead of in
 * passes; more would leave too little for other work. A part of the embedded database is small, and the memory of WebAssembly
 * never shrinks.
 */
const WORK_MEM: Record<Database['engine'], string> = { postgresql: '128MB', pglite: '4MB' }

/**
 * A statement takes some minutes for millions of images (docs/benchmarks.md). PGlite ignores the setting (docs/decisions/0011).
 */
const LONGEST_STATEMENT = '30min'

type Table = { table: string; key: readonly string[]; values: readonly string[] }

const ORPHANED: Table = {
  table: 'orphaned_blobs',
  key: ['repository_id', 'digest'],
  values: ['size', 'manifest_at', 'implied', 'used_at'],
}
const MISSING: Table = {
  table: 'missing_blobs',
  key: ['repository_id', 'manifest_digest', 'digest'],
  values: ['part', 'through'],
}
const MOST_TAGGED: Table = { table: 'most_tagged', key: ['repository_id', 'digest'], values: ['tags'] }

/**
 * Finds the blobs that no manifest has, and the missing parts of manifests. The parts of all manifests of a repository are
 * computed once, and compared with its blobs and manifests.
 */
const refreshBlobFindings = async (db: Sql, range: Range, at: Date): Promise<void> => {
  await sql`
    with ${usedManifests(range)}, used_parts as materialized (${partsInUse(range)}
    ), blobs as not materialized (
      select * from inventory.repository_blobs where ${within('repository_id', range)}
    ), ${orphans(at)}, ${missingParts(range)},
    ${replacing(ORPHANED, 'found_orphans', range)}, ${replacing(MISSING, 'found_missing', range)}, counted as (
      select t.repository_id, coalesce(u.manifests, 0) + coalesce(n.manifests, 0) as contents, coalesce(u.indexes, 0) as indexes,
        coalesce(b.blobs, 0) as blobs
      from inventory.repository_totals t
        left join unknown u on u.repository_id = t.repository_id
        left join not_followed n on n.repository_id = t.repository_id
        left join undecided b on b.repository_id = t.repository_id
      where ${within('t.repository_id', range)}
    )
    update inventory.repository_totals t
    set unknown_contents = c.contents, unknown_indexes = c.indexes, undecided_blobs = c.blobs
    from counted c
    where t.repository_id = c.repository_id
      and (t.unknown_contents, t.unknown_indexes, t.undecided_blobs) is distinct from (c.contents, c.indexes, c.blobs)
  `.execute(db)
}

/**
 * Counts the manifests that nothing known leads to, but something unknown may (see untagged-manifests). In a repository with an
 * unknown or unread index, all such manifests count.
 */
const refreshUndecidedManifests = async (db: Sql, range: Range): Promise<void> =>
  storeCounts(db, range, {
    column: 'undecided_manifests',
    ctes: sql`${namedManifests(range)}, reached as materialized (
      select distinct n.repository_id, c.digest from named n ${listOf(sql`n.digest`)} where n.children > 0 and not n.is_cut
    )`,
    manifests: sql`(
        select o.*, l.digest as listed
        from (
          select * from inventory.repository_manifests o
          where o.live and ${within('o.repository_id', range)} and ${areUntagged}
        ) o full join (
          select repository_id, digest from listings union all select repository_id, digest from reached
        ) l on l.repository_id = o.repository_id and l.digest = o.digest
        offset 0
      ) o
        join inventory.repositories r on r.id = o.repository_id
        left join inventory.manifests m on m.digest = o.digest
        left join inventory.repository_totals u on u.repository_id = o.repository_id
      where o.listed is null and ${refersToNothingHere}
        and case when u.unknown_indexes > 0 then true else ${isInTooManyIndexes(sql`o.digest`)} or not ${allThatLeadsIsKnown} or ${mayBeTagged} end`,
  })

/** Counts the manifests without a known subject that may have one: notifications contain no subjects. */
const refreshUnknownSubjects = async (db: Sql, range: Range): Promise<void> =>
  storeCounts(db, range, {
    column: 'unknown_subjects',
    ctes: sql`unread as materialized (select unnest(${range.unread}::int[]) as id)`,
    manifests: sql`inventory.repository_manifests o
        join inventory.repositories r on r.id = o.repository_id
        left join inventory.manifests m on m.digest = o.digest
      where m.subject is null
        and case when o.repository_id in (select id from unread) then true else not coalesce(${isNoReferrer}, false) end`,
  })

/**
 * Stores a count of live manifests for each repository.
 * @param manifests the text after `from`: rows `o` of repository_manifests, and a condition.
 */
const storeCounts = async (
  db: Sql,
  range: Range,
  { column, ctes, manifests }: { column: string; ctes: RawBuilder<unknown>; manifests: RawBuilder<unknown> },
): Promise<void> => {
  await sql`
    with ${ctes}, counted as materialized (
      select o.repository_id, count(*) as manifests
      from ${manifests} and o.live and ${within('o.repository_id', range)}
      group by o.repository_id
    )
    update inventory.repository_totals t set ${sql.ref(column)} = coalesce(c.manifests, 0)
    from inventory.repository_totals o left join counted c on c.repository_id = o.repository_id
    where t.repository_id = o.repository_id and ${within('t.repository_id', range)}
      and t.${sql.ref(column)} is distinct from coalesce(c.manifests, 0)
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

/** Parts of a statement that replace the rows of a table by what was found. Unchanged rows are not written. */
const replacing = ({ table, key, values }: Table, found: string, range: Range): RawBuilder<unknown> => {
  const target = sql.raw(`inventory.${table}`)
  const columns = sql.raw([...key, ...values].join(', '))
  const sameKey = sql.raw(key.map((column) => `f.${column} = o.${column}`).join(' and '))
  const list = (of: string): string => values.map((value) => `${of}.${value}`).join(', ')
  const renewed = sql.raw(`update set ${values.map((value) => `${value} = excluded.${value}`).join(', ')}
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
