import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/database.js'
import type { Asked } from './asked.js'
import { dimension } from './dimensions.js'
import { conditionsOn, momentsOf } from './filters.js'
import { outcomesFor } from './outcomes.js'

/** Kinds of clients that pull because they were told to once, not because somebody wants the image now. */
const AUTOMATIC = ['updater', 'scanner', 'mirror']

type Puller = { origin: string; client: string; kind: string; pulls: number; share: number }

export type PullersAnswer = {
  pulls: number
  pullers: number
  /** Pulls of the puller in the middle: half pull less, half pull more. */
  median_pulls: number
  mean_pulls: number
  /** Those who pull most, and their part of all pulls, from 0 to 1. */
  top: Puller[]
  top_share: number
  without_top: { pulls: number; pullers: number }
  /** Without updaters, scanners and mirrors. */
  without_automatic: { pulls: number; pullers: number; kinds: string[] }
}

type Row = Record<'pulls' | 'pullers' | 'median' | 'people_pulls' | 'people', string | null>

/**
 * How pulls are spread over those who pull: a total alone may be the work of two machines. Counted by origin in single
 * invocations, as far back as these are kept.
 * @param top how many pullers to name.
 */
export const askPullers = async (db: Sql, asked: Asked, top: number): Promise<PullersAnswer> => {
  const each = pullsOfEach(asked)
  const [all, most] = await Promise.all([
    sql<Row>`
      select coalesce(sum(pulls), 0) as pulls, count(*) as pullers,
        percentile_cont(0.5) within group (order by pulls) as median,
        coalesce(sum(pulls) filter (where kind <> all(${AUTOMATIC}::text[])), 0) as people_pulls,
        count(*) filter (where kind <> all(${AUTOMATIC}::text[])) as people
      from (${each}) e
    `.execute(db),
    sql<{ origin: string; client: string; kind: string; pulls: string }>`
      select origin, client, kind, pulls from (${each}) e order by pulls desc, origin limit ${top}
    `.execute(db),
  ])
  const [row] = all.rows
  const [pulls, pullers] = [Number(row?.pulls ?? 0), Number(row?.pullers ?? 0)]
  const named = most.rows.map((one) => ({ ...one, pulls: Number(one.pulls), share: part(Number(one.pulls), pulls) }))
  const topPulls = named.reduce((sum, one) => sum + one.pulls, 0)
  return {
    pulls,
    pullers,
    median_pulls: Number(row?.median ?? 0),
    mean_pulls: part(pulls, pullers),
    top: named,
    top_share: part(topPulls, pulls),
    without_top: { pulls: pulls - topPulls, pullers: pullers - named.length },
    without_automatic: { pulls: Number(row?.people_pulls ?? 0), pullers: Number(row?.people ?? 0), kinds: AUTOMATIC },
  }
}

const part = (some: number, all: number): number => (all === 0 ? 0 : some / all)

const pullsOfEach = (asked: Asked): RawBuilder<unknown> => {
  const { from, to } = momentsOf(asked.period, asked.timeZone)
  const local = sql`(o.at at time zone ${asked.timeZone}::text)`
  const conditions = conditionsOn({ local, value: (name) => dimension(name).value(local) }, asked, asked.period)
  const wanted = [sql`o.what = 'invocation' and o.gets > 0`, sql`o.at >= ${from}`, sql`o.at < ${to}`, ...conditions]
  return sql`
    select o.origin, min(o.client) as client, min(o.kind) as kind, count(*) as pulls
    from ${outcomesFor(asked)} o where ${sql.join(wanted, sql` and `)} group by o.origin`
}
