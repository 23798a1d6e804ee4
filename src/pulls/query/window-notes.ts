import { sql } from 'kysely'
import { MICROS_PER_SECOND } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { WINDOWS, type Windows } from '../model/join-windows.js'
import type { Asked } from './parameters.js'
import { momentsOf } from './filters.js'
import type { MeasureName } from '../model/measures.js'

type Row = { day: string; join: number; blobs: number; session: number }

/** What each window does, and which measures depend on it; the first one all. */
const EFFECTS: { window: keyof Windows; what: string; how: string; measures?: readonly MeasureName[] }[] = [
  { window: 'join', what: 'requests were joined', how: 'within' },
  {
    window: 'blobs',
    what: 'layers were joined to pulls',
    how: 'within',
    measures: ['downloads', 'downloads_confirmed', 'manifest_only_pulls', 'orphan_blob_sessions'],
  },
  { window: 'session', what: 'sessions were ended', how: 'by a silence of', measures: ['sessions'] },
]

/** Sentences on the windows by which requests of a period were joined: when they changed, and where they are not the usual ones. */
export const windowNotes = async (db: Sql, { measures, period, timeZone }: Asked): Promise<string[]> => {
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
    const told = rows.filter((row, i) => row[window] !== rows[i - 1]?.[window])
    const values = told.map((row) => `${how} ${row[window]} s`)
    const [first = '', ...others] = values
    const usual = WINDOWS[window] / MICROS_PER_SECOND
    if (told.length < 2)
      return told[0] && told[0][window] !== usual ? [`${capital(what)} ${first}, not ${usual} s.`] : []
    const untils = told.slice(1).map(({ day }) => day)
    const middle = others.slice(0, -1).map((value, i) => `, until ${untils[i + 1] ?? ''} ${value}`)
    return [`Until ${untils[0] ?? ''} ${what} ${first}${middle.join('')}, since then ${others.at(-1) ?? ''}.`]
  })
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
