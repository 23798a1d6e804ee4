import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/** A list of at most so many entries is propagated to all repositories of its manifest: an image has at most 127 layers. */
const SHORT_LIST = 250
/** The most rows, as entries times repositories of one registry, that a longer list stated by events may produce. */
const MOST_ROWS = 1_000_000

/** Whether a list may be too long for the repositories of its manifest, in all registries together. Reads few rows. */
export const mayBeTooLong = (digest: string, entries: string): string => `
          (case when ${entries} > ${SHORT_LIST} then ${entries} * (
            select count(*) from (
              select from inventory.repository_manifests
              where repository_manifests.digest = ${digest} limit ${MOST_ROWS / SHORT_LIST + 1}
            ) first_places
          ) > ${MOST_ROWS} else false end)`

/**
 * Counts the repositories of a manifest. In a registry where its list would make too many rows, its contents are unknown from
 * now on: a pull of some 150 bytes would add a row for each entry. A list that a registry showed to Tallyman is always
 * propagated.
 * @returns whether the contents are now unknown in all registries that stated them, so that no blobs are propagated
 */
export const withholdIfTooLong = async (tx: Sql, digest: string): Promise<boolean> => {
  await sql`
    with list as materialized (
      select count(*) as entries from inventory.manifest_blobs where manifest_digest = ${digest}
    ), exceeding as materialized (
      select array_agg(registry) as registries from (
        select r.registry
        from list
          join inventory.repository_manifests o on o.digest = ${digest} and o.seen_at is not null
          join inventory.repositories r on r.id = o.repository_id
        where list.entries > ${SHORT_LIST}
        group by r.registry, list.entries having count(*) * list.entries > ${MOST_ROWS}
      ) counted
    ), withheld as materialized (
      select array(
        select unnest(m.withheld_in)
        union select unnest(m.stated_by) intersect select unnest(exceeding.registries)
        order by 1
      ) as registries
      from inventory.manifests m, exceeding where m.digest = ${digest} and m.stated_by is not null
    )
    update inventory.manifests m
    set withheld_in = withheld.registries, contents_known = false, attempts = 0, next_attempt_at = now()
    from withheld
    where m.digest = ${digest} and cardinality(withheld.registries) > coalesce(cardinality(m.withheld_in), 0)
  `.execute(tx)
  const { numAffectedRows } = await sql`
    update inventory.manifests set tell_after = null where digest = ${digest} and stated_by <@ withheld_in
  `.execute(tx)
  return Number(numAffectedRows) > 0
}
