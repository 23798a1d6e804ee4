import { sql, type Kysely } from 'kysely'
import { microsOf } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { epochMicros } from '../../storage/sql/moments.js'
import { behaviourOf, MAX_TIMES, type Behaviour } from '../model/behaviour.js'
import { inOneSnapshot } from './in-one-snapshot.js'
import { currentOutcomes } from './current-outcomes.js'
import { requireSingleOrigins } from './minimum-group-size.js'
import { LOCAL_TOOL_IN_CLOUD } from '../model/local-tool.js'
import type { PullsContext } from './notes.js'
import { addDays, localDay } from '../model/period.js'
import { provisionalIn, provisionalNotes, type Provisional } from './provisional.js'
import { unmatchedNotes } from './unmatched-notes.js'

type OriginBehaviour = Behaviour & {
  registry: string
  repository: string
  origin: string
  client: string
  kind: string
}

/** The behaviour of origins, and which part of it may still change. */
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

type BehavioursQuery = {
  now: Date
  /** How many days to look back. */
  days: number
  repository?: string
  limit: number
}

/**
 * The behaviour of origins in repositories, sorted by their number of invocations, the largest first.
 * @throws PullsError if single origins must not be shown
 */
export const queryBehaviours = async (
  db: Kysely<unknown>,
  behavioursQuery: BehavioursQuery,
  context: Pick<PullsContext, 'minimumGroupSize' | 'lateness'>,
): Promise<BehavioursAnswer> => {
  requireSingleOrigins(context)
  return inOneSnapshot(db, async (tx) => {
    const items = await behavioursIn(tx, behavioursQuery)
    const query = pullsQueryOf(behavioursQuery)
    const provisional = await provisionalIn(tx, query, context)
    const unmatched = items.length === 0 ? await unmatchedNotes(tx, query.filters) : []
    const notes = [...provisionalNotes(provisional, query, context), ...unmatched]
    return { items, ...(provisional && { provisional }), notes }
  })
}

/** The same repository and UTC days as a query about pulls. */
const pullsQueryOf = ({ now, days, repository }: BehavioursQuery): Parameters<typeof provisionalIn>[1] => {
  const today = localDay(now, 'UTC')
  return {
    groupBy: [],
    filters: repository === undefined ? [] : [{ dimension: 'repository', values: [repository] }],
    period: { from: addDays(today, -days), to: addDays(today, 1) },
    timeZone: 'UTC',
    queriedAt: microsOf(now),
  }
}

const behavioursIn = async (tx: Sql, { now, days, repository, limit }: BehavioursQuery): Promise<OriginBehaviour[]> => {
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
      select array_agg(${epochMicros(sql`at`)}::text order by at) as times from (
        select at from ${outcomes} o
        where o.registry = b.registry and o.repository = b.repository and o.origin = b.origin
          and o.what = 'invocation' and o.at >= ${since} and o.at <= ${now}
        order by at desc limit ${MAX_TIMES}
      ) newest
    ) o
    order by b.invocations desc, b.registry, b.repository, b.origin
  `.execute(tx)
  return rows.map(({ times, names, local, ...who }) => ({
    ...who,
    ...behaviourOf({ times: times.map(Number), references: Number(names), isLocalToolInCloud: local }),
  }))
}
