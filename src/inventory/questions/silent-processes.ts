import { sql } from 'kysely'
import { isoTime, microsOf, MS_PER_DAY } from '../../events/calendar.js'
import { printable } from '../../runtime/printable.js'
import type { Sql } from '../../storage/sql/database.js'

/** A process that is silent for longer was replaced. */
const REMEMBERED_MS = 30 * MS_PER_DAY
/** Shorter than the day for which `orphaned-blobs` waits for later events of a registry, because times are stored with a delay. */
const SILENCE = sql`interval '23 hours'`
/** The largest number of processes that the notes name. */
const MOST_NAMED = 3
const LONGEST_NAME = 80

type SilentProcess = { registry: string; process: string; at: Date; count: string }

/**
 * A sentence for each process of a registry that was heard in the last 30 days and has been silent since, while another process that
 * had been heard before went on for almost a day. Its notifications may be queued: an image that was pushed through it would look
 * unused. A process that was stopped looks the same, so the answer leaves nothing out.
 * @param registries names of registries
 */
export const silentProcessNotes = async (db: Sql, registries: readonly string[], now: Date): Promise<string[]> => {
  if (registries.length === 0) return []
  const since = new Date(now.getTime() - REMEMBERED_MS)
  const { rows } = await sql<SilentProcess>`
    with names as (
      select name as registry, name as known_as from unnest(${registries}::text[]) as given (name)
      union all
      select name, alias from inventory.registry_aliases where name = any(${registries}::text[])
    ), recent as (
      select names.registry, p.instance, p.first_heard_at, p.last_heard_at
      from names join registry_processes p on p.registry = names.known_as
      where p.last_heard_at between ${since.toISOString()}::timestamptz and ${now.toISOString()}::timestamptz
    ), moments as (
      -- For the last moment of each process, until when those were heard that had been heard before that moment.
      select registry, process, at, max(heard_until) over (partition by registry order by at) as heard_until
      from recent cross join lateral (
        values (null, first_heard_at, last_heard_at), (instance, last_heard_at, null)
      ) as moment (process, at, heard_until)
    )
    select registry, process, at, count(*) over () as count from moments
    where process is not null and heard_until >= at + ${SILENCE}
    order by at desc, registry, process limit ${MOST_NAMED}
  `.execute(db)
  const more = Number(rows[0]?.count ?? 0) - rows.length
  return [
    ...rows.map(noteOf),
    ...(more > 0 ? [`the same is true of ${more} more processes of registries, which fell silent earlier`] : []),
  ]
}

const noteOf = ({ registry, process, at }: SilentProcess): string =>
  `the process ${printable(process.slice(0, LONGEST_NAME).toWellFormed())} of ${registry} sent no event since ${isoTime(microsOf(at))}, while another one did: ` +
  'if it still runs, check its notifications, because pushes and uses through it are unknown; if it was replaced, ignore this note'
