import { sql } from 'kysely'
import { batchesOf } from '../../storage/sql/cursor.js'
import type { Sql } from '../../storage/sql/database.js'
import { epochMicros } from '../../storage/sql/moments.js'
import { behaviourOf, MIN_INVOCATIONS, MAX_TIMES, type Behaviour } from '../model/behaviour.js'
import { LOCAL_TOOL_IN_CLOUD } from '../model/local-tool.js'
import { createPause } from '../../runtime/yield.js'
import type { RepositoryDay } from './repository-day.js'

/** The behaviour of an origin. */
export type Reading = Behaviour & { origin: string }

type Row = { origin: string; times: string; references: string; local: boolean }

/** Origins whose times are in memory at once. */
const AT_ONCE = 50

/**
 * Reads the behaviour of each origin of a repository in the week that ends with a day, and stores the readings that are not
 * insufficient. It reads through a cursor, and yields to other work between rows.
 */
export const readBehaviours = async (tx: Sql, of: RepositoryDay): Promise<void> => {
  const { registry, repository, day, start, end, lookFrom } = of
  await sql`
    delete from pulls.behaviours where registry = ${registry} and repository = ${repository} and day = ${day}::date
  `.execute(tx)
  const origins = sql<Row>`
    select origin, count(distinct name) filter (where is_invocation) as references,
      bool_or(local) filter (where is_invocation) as local,
      string_agg(${epochMicros(sql`at`)}::text, ' ' order by at)
        filter (where is_invocation and newest <= ${sql.lit(MAX_TIMES)}) as times
    from (
      select o.origin, o.at, coalesce(o.tag, o.digest) as name, ${LOCAL_TOOL_IN_CLOUD} as local,
        o.what = 'invocation' as is_invocation,
        row_number() over (partition by o.origin, o.what = 'invocation' order by o.at desc) as newest
      from pulls.outcomes o
      where o.registry = ${registry} and o.repository = ${repository}
        and o.at >= ${lookFrom}::timestamptz and o.at < ${end}::timestamptz
    ) o
    group by origin
    having count(*) filter (where is_invocation) >= ${sql.lit(MIN_INVOCATIONS)} and max(at) >= ${start}::timestamptz
  `
  const pause = createPause()
  for await (const rows of batchesOf(tx, origins, AT_ONCE)) {
    const readings: Reading[] = []
    for (const { origin, times, references, local } of rows) {
      const deps = { times: times.split(' ').map(Number), references: Number(references), isLocalToolInCloud: local }
      readings.push({ origin, ...behaviourOf(deps) })
      await pause()
    }
    await insertReadings(tx, of, readings)
  }
}

export const insertReadings = async (
  tx: Sql,
  { registry, repository, day }: RepositoryDay,
  readings: readonly Reading[],
): Promise<void> => {
  await sql`
    insert into pulls.behaviours (day, registry, repository, origin, behaviour, likely)
    select ${day}::date, ${registry}, ${repository}, * from unnest(
      ${readings.map(({ origin }) => origin)}::text[], ${readings.map(({ pattern }) => pattern)}::text[],
      ${readings.map(({ likely }) => likely)}::text[]
    )
  `.execute(tx)
}
