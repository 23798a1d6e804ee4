import { sql, type Kysely } from 'kysely'
import { microsOf } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { behaviourOf, MOST_TIMES, type Behaviour } from '../model/behaviour.js'
import { atOneMoment } from './at-one-moment.js'
import { currentOutcomes } from './current-outcomes.js'
import { allowSingleOrigins } from './minimum-group-size.js'
import { LOCAL_TOOL_IN_CLOUD } from '../model/local-tool.js'
import type { Context } from './notes.js'
import { addDays, localDay } from '../model/period.js'
import { provisionalIn, provisionalNotes, type Provisional } from './provisional.js'
import { unmatchedNotes } from './unmatched.js'

type OriginBehaviour = Behaviour & {
  registry: string
  repository: string
  origin: string
  client: string
  kind: string
}

/** How origins ask, and what of it may change yet. */
export type BehavioursAnswer = { items: OriginBehaviour[]; provisional?: Provisional; notes: string[] }

type Row = {
  registry: string
  repository: string
  origin: string
  client: string
  kind: string
  times: string[]
  names: string
  local: boolean
}

type Look = {
  now: Date
  /** Look-back. */
  days: number
  repository?: string
  limit: number
}

/**
 * How origins ask for repositories, those that ask most first.
 * @throws PullsError where single origins are not to be shown.
 */
export const askBehaviours = async (
  db: Kysely<unknown>,
  look: Look,
  context: Pick<Context, 'leastPullers' | 'lateness'>,
): Promise<BehavioursAnswer> => {
  allowSingleOrigins(context)
  return atOneMoment(db, async (tx) => {
    const items = await behavioursOn(tx, look)
    const asked = askedBy(look)
    const provisional = await provisionalIn(tx, asked, context)
    const unmatched = items.length === 0 ? await unmatchedNotes(tx, asked.filters) : []
    const notes = [...provisionalNotes(provisional, asked, context), ...unmatched]
    return { items, ...(provisional && { provisional }), notes }
  })
}

/** The days of UTC that a look back touches, as a query about pulls has them. */
const askedBy = ({ now, days, repository }: Look): Parameters<typeof provisionalIn>[1] => {
  const today = localDay(now, 'UTC')
  return {
    groupBy: [],
    filters: repository === undefined ? [] : [{ dimension: 'repository', values: [repository] }],
    period: { from: addDays(today, -days), to: addDays(today, 1) },
    timeZone: 'UTC',
    askedAt: microsOf(now),
  }
}

const behavioursOn = async (tx: Sql, { now, days, repository, limit }: Look): Promise<OriginBehaviour[]> => {
  const outcomes = await currentOutcomes(tx)
  const since = new Date(now.getTime() - days * 86_400_000)
  const { rows } = await sql<Row>`
    with busy as (
      select registry, repository, origin, min(client) as client, min(kind) as kind, count(*) as invocations,
        count(distinct coalesce(tag, digest)) as names, bool_or(${LOCAL_TOOL_IN_CLOUD}) as local
      from ${outcomes} o
      where what = 'invocation' and at >= ${since} and at <= ${now}
        and ${repository === undefined ? sql`true` : sql`repository = ${repository}`}
      group by registry, repository, origin
      order by invocations desc, registry, repository, origin limit ${limit}
    )
    select b.registry, b.repository, b.origin, b.client, b.kind, b.names, b.local, o.times
    from busy b cross join lateral (
      select array_agg((extract(epoch from at) * 1000000)::bigint::text order by at) as times from (
        select at from ${outcomes} o
        where o.registry = b.registry and o.repository = b.repository and o.origin = b.origin
          and o.what = 'invocation' and o.at >= ${since} and o.at <= ${now}
        order by at desc limit ${MOST_TIMES}
      ) newest
    ) o
    order by b.invocations desc, b.registry, b.repository, b.origin
  `.execute(tx)
  return rows.map(({ times, names, local, ...who }) => ({
    ...who,
    ...behaviourOf({ times: times.map(Number), references: Number(names), isLocalToolInCloud: local }),
  }))
}
