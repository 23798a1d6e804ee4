import { sql } from 'kysely'
import { MICROS_PER_SECOND } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { WINDOWS, type JoinWindows } from '../model/join-windows.js'
import type { PullsQuery } from './parameters.js'
import { momentsOf } from './filters.js'
import type { MeasureName } from '../model/measures.js'

type Row = { day: string; join: number; blobs: number; session: number }

/** The effect of each window, and the measures that depend on it: all measures if undefined. */
const EFFECTS: { window: keyof JoinWindows; what: string; how: string; measures?: readonly MeasureName[] }[] = [
  { window: 'join', what: 'requests were joined', how: 'within' },
  {
    window: 'blobs',
    what: 'layers were joined to pulls',
    how: 'within',
    measures: ['downloads', 'downloads_confirmed', 'manifest_only_pulls', 'orphan_blob_sessions'],
  },
  { window: 'session', what: 'sessions were ended', how: 'by a silence of', measures: ['sessions'] },
]

/** Notes on the windows by which requests of a period were joined, if they changed within the period or differ from the defaults. */
export const windowNotes = async (db: Sql, { measures, period, timeZone }: PullsQuery): Promise<string[]> => {
  const { from, to } = momentsOf(period, timeZone)
  const { rows } = await sql<Row>`
    select (from_at at time zone ${timeZone}::text)::date::text as day,
      join_seconds as join, blob_seconds as blobs, session_seconds as session
    from pulls.windows
    where from_at < ${to} and from_at >= (select max(from_at) from pulls.windows where from_at <= ${from})
    order by from_at
  `.execute(db)
  return EFFECTS.filter(
    (one) => one.measures === undefined || one.measures.some((name) => measures.includes(name)),
  ).flatMap(({ window, what, how }) => {
    const changes = rows.filter((row, i) => row[window] !== rows[i - 1]?.[window])
    const values = changes.map((row) => `${how} ${row[window]} s`)
    const [first = '', ...others] = values
    const usual = WINDOWS[window] / MICROS_PER_SECOND
    if (changes.length < 2)
      return changes[0] && changes[0][window] !== usual ? [`${capital(what)} ${first}, not ${usual} s.`] : []
    const untils = changes.slice(1).map(({ day }) => day)
    const middle = others.slice(0, -1).map((value, i) => `, until ${untils[i + 1] ?? ''} ${value}`)
    return [`Until ${untils[0] ?? ''} ${what} ${first}${middle.join('')}, since then ${others.at(-1) ?? ''}.`]
  })
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
