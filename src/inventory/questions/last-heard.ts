import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { QueryParameters } from './question.js'
import { repositoryIdsOf } from './sql-parts.js'
import { gapsBetween, type Gap } from './unheard-times.js'

/** The times of the events that a registry sent. */
export type Heard = {
  registry: string
  /** When the newest event, and the newest pull, of the registry happened. */
  heardAt: Date | null
  pullAt: Date | null
  /** When an event last arrived long after it had happened. */
  lateAt: Date | null
  /** Periods without an event, and without a pull. */
  gaps: readonly Gap[]
  pullGaps: readonly Gap[]
}

type Row = Omit<Heard, 'gaps' | 'pullGaps'> & { heardOn: string; pullsOn: string }

/**
 * Reads the times of each registry of the query. If the query names no registry, each name is found by one look-up in the index.
 */
export const lastHeard = async (db: Sql, query: QueryParameters): Promise<Heard[]> => {
  const { registry } = query
  const ids = repositoryIdsOf(query)
  const names = ids
    ? sql`select distinct registry from inventory.repositories where id = any(${ids}::int[])`
    : registry !== undefined
      ? sql`select registry from inventory.repositories where registry = ${registry} limit 1`
      : ALL_NAMES
  const { rows } = await sql<Row>`
    select n.registry, least(r.last_received_at, r.last_event_at) as "heardAt",
      case when r.last_pull_at is not null then least(r.last_received_at, r.last_pull_at) end as "pullAt",
      r.late_at as "lateAt", coalesce(r.heard_on, '{}')::text as "heardOn", coalesce(r.pulls_on, '{}')::text as "pullsOn"
    from (${names}) n left join receptions r on r.registry = n.registry
    order by n.registry
  `.execute(db)
  return rows.map(({ heardOn, pullsOn, ...heard }) => ({
    ...heard,
    gaps: gapsUntil(heard.heardAt, heardOn),
    pullGaps: gapsUntil(heard.pullAt, pullsOn),
  }))
}

/** A registry without days was recorded by a process of a version without them: when it was heard before its newest event is unknown. */
const gapsUntil = (newest: Date | null, days: string): Gap[] =>
  days === '{}' && newest ? [{ from: -Infinity, to: newest.getTime() }] : gapsBetween(days)

const ALL_NAMES = sql`
  with recursive names as (
    (select registry from inventory.repositories order by registry limit 1)
    union all
    select (select r.registry from inventory.repositories r where r.registry > names.registry order by r.registry limit 1)
    from names where names.registry is not null
  )
  select registry from names where registry is not null`
