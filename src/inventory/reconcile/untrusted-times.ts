import { sql } from 'kysely'
import { isoTime, parseTimestamp, type Micros } from '../../events/calendar.js'
import type { Database, Sql } from '../../storage/sql/database.js'
import { isoText } from '../../storage/sql/moments.js'
import type { RecordedState } from './recorded-state.js'

/**
 * Which times of the inventory came from a clock that was ahead, as far as they could hide drift. Such a time does not make an
 * object recent: it shows nothing about what happened during the run.
 */
export type UntrustedTimes = {
  /** The newest time that can be true. An older version of Tallyman stored later ones. */
  latest: Micros
  /**
   * Times of events that were ahead and arrived before the first request. They are times of arrival, so the events had happened
   * by then.
   */
  arrivals: ReadonlySet<Micros>
}

/** Events of one arrival are a microsecond apart. The first response of a registry takes longer. */
const FOLLOWING = 1_000

export const NO_UNTRUSTED_TIMES: UntrustedTimes = { latest: Infinity, arrivals: new Set() }

export const isUntrusted = ({ latest, arrivals }: UntrustedTimes, time: Micros): boolean =>
  time > latest || arrivals.has(time)

/**
 * @param startedAt the time of the first request; `from` is a little earlier, since clocks of registries may be behind or ahead
 */
export const readUntrustedTimes = async (
  db: Sql,
  { from, startedAt, latest }: { from: Micros; startedAt: Micros; latest: Micros },
): Promise<UntrustedTimes> => {
  const { rows } = await sql<{ at: string }>`
    select ${isoText(sql`at`)} as at
    from event_times where at between ${isoTime(from)} and ${isoTime(startedAt + FOLLOWING)}
  `.execute(db)
  return { latest, arrivals: new Set(rows.flatMap(({ at }) => parseTimestamp(at) ?? [])) }
}

type Names = { manifests: readonly string[]; blobs: readonly string[]; tags: readonly string[] }

/** The key of each table, and its times that make an object live. */
const TABLES = {
  repository_manifests: { key: 'digest', seen: ['pushed_at', 'pulled_at', 'checked_at', 'confirmed_at'] },
  repository_blobs: {
    key: 'digest',
    seen: ['pushed_at', 'pulled_at', 'checked_at', 'mounted_at', 'manifest_at', 'confirmed_at'],
  },
  tags: { key: 'name', seen: ['pointed_at', 'pushed_at', 'pulled_at', 'checked_at'] },
} as const

/** Whether a repository has untrusted times that would win over a repair at this moment. */
export const hasUntrusted = (recorded: RecordedState, times: UntrustedTimes): boolean =>
  [
    { deleted: recorded.deleted, seen: undefined },
    ...recorded.manifests.values(),
    ...recorded.blobs.values(),
    ...recorded.tags.values(),
  ]
    .flatMap(({ seen, deleted }) => [seen, deleted])
    .some((time) => time !== undefined && isUntrusted(times, time))

/**
 * Moves untrusted times of a repository to just before a moment, so that a repair of this moment wins. Live objects stay live,
 * and deleted objects stay deleted. Times of arrivals are moved only for objects that drifted.
 */
export const lowerUntrusted = async (
  database: Database,
  { registry, repository }: { registry: string; repository: string },
  { times, drifted, before }: { times: UntrustedTimes; drifted: Names; before: Micros },
): Promise<void> => {
  const [winner, loser] = [isoTime(before - 1), isoTime(before - 2)]
  const latest = isoTime(times.latest)
  const arrivals = [...times.arrivals].map(isoTime)
  const hasDrift = Object.values(drifted).some(({ length }) => length > 0)
  const late = (column: string, or = sql`false`) => sql`
    case when ${sql.ref(column)} > ${latest}::timestamptz or ${or} then ${loser}::timestamptz else ${sql.ref(column)} end`
  const arrived = sql`(${hasDrift}::boolean and deleted_at = any(${arrivals}::timestamptz[]))`
  const names = { repository_manifests: drifted.manifests, repository_blobs: drifted.blobs, tags: drifted.tags }
  await database.transaction(async (tx) => {
    const { rows } = await sql<{ id: number }>`
      update inventory.repositories
      set first_seen_at = ${late('first_seen_at')}, last_seen_at = ${late('last_seen_at')},
        deleted_at = ${late('deleted_at', arrived)}, ended_at = ${late('ended_at', arrived)}
      where registry = ${registry} and name = ${repository}
      returning id
    `.execute(tx)
    const [row] = rows
    if (!row) return
    for (const [table, { key, seen }] of Object.entries(TABLES)) {
      const wrong = (column: string) => sql`(
        o.${sql.ref(column)} > ${latest}::timestamptz
        or (o.${sql.ref(key)} = any(${names[table as keyof typeof names]}::text[])
          and o.${sql.ref(column)} = any(${arrivals}::timestamptz[]))
      )`
      const lowered = (column: string, whenLive: string, whenDeleted: string) => sql`
        ${sql.ref(column)} = case when ${wrong(column)}
          then case when o.live then ${whenLive}::timestamptz else ${whenDeleted}::timestamptz end
          else o.${sql.ref(column)} end`
      const all = ['deleted_at', 'moved_at', ...seen]
      await sql`
        update inventory.${sql.ref(table)} o
        set ${sql.join([
          lowered('deleted_at', loser, winner),
          lowered('moved_at', winner, winner),
          ...seen.map((column) => lowered(column, winner, loser)),
          sql`first_seen_at = ${late('first_seen_at')}`,
        ])}
        where o.repository_id = ${row.id} and (${sql.join(all.map(wrong), sql` or `)})
      `.execute(tx)
    }
  })
}
