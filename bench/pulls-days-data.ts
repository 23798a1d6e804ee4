import { sql } from 'kysely'
import { COUNTED_NUMBERS, COUNTED_SKETCHES, DIMENSION_COLUMNS } from '../src/pulls/model/counted.js'
import { addDays } from '../src/pulls/model/period.js'
import { HyperLogLog } from '../src/storage/sketches/hyperloglog/hyperloglog.js'
import type { Sql } from '../src/storage/sql/database.js'

export const REGISTRY = 'registry.example'
/** The first of two years, of which the last month is not over. */
export const FIRST_DAY = '2024-11-21'
export const DAYS = 730
export const LAST_DAY = addDays(FIRST_DAY, DAYS - 1)

/** Days that dice make; all others are these again, as that takes a tenth of the time. */
const DICED_DAYS = 73

export type Size = { repositories: number; countries: number; networks: number; origins: number; rowsPerDay: number }

/** A hundred million invocations: five for each row. */
export const FULL: Size = { repositories: 1_000, countries: 60, networks: 500, origins: 200_000, rowsPerDay: 27_000 }

/** How many origins rows have, and that each comes about so often in a hundred. */
const MEMBERS = [0, 1, 2, 5, 20]

/**
 * Fills pulls.days with two years of one registry. Repositories, countries, tags and networks follow Zipf's law; each country has its own
 * origins, of which some come far more often than others. Days lie on the disk one after the other, as they are rolled up.
 */
export const fillDays = async (db: Sql, size: Size, tell: (line: string) => void): Promise<void> => {
  await fillSketches(db, size)
  await fillChoices(db, size)
  await sql`drop index pulls.days_repository, pulls.days_registry`.execute(db)
  // Where a day lies, for the copies.
  await sql`create index bench_day on pulls.days (day)`.execute(db)
  for (let i = 0; i < DAYS; i++) {
    if (i < DICED_DAYS) await fillFrom(db, addDays(FIRST_DAY, i), size)
    else await copyDay(db, addDays(FIRST_DAY, i))
    if (i % 100 === 99) tell(`${i + 1} of ${DAYS} days`)
  }
  tell('indexes')
  await sql`create index days_repository on pulls.days (registry, repository, day)`.execute(db)
  await sql`create index days_registry on pulls.days (registry, day)`.execute(db)
  await sql`
    insert into pulls.registries (registry, folded_to, newest_at, rolled_to, kept_from)
    values (${REGISTRY}, ${LAST_DAY}::date + 1, ${LAST_DAY}::date + 1, ${LAST_DAY}::date + 1, ${LAST_DAY}::date - 89)
  `.execute(db)
  await sql`drop index pulls.bench_day`.execute(db)
  await sql`drop table bench_sketches, bench_choices`.execute(db)
  await sql`vacuum analyze pulls.days`.execute(db)
}

/** Sketches of origins that stand beside each other, and of their endpoints, of which two share one. */
const fillSketches = async (db: Sql, { origins }: Size): Promise<void> => {
  await sql`create unlogged table bench_sketches (n int, k int, origins bytea, endpoints bytea)`.execute(db)
  for (const n of MEMBERS) {
    const count = n === 0 ? 1 : Math.floor(origins / n)
    for (let first = 0; first < count; first += 5_000) {
      const all = Array.from({ length: Math.min(5_000, count - first) }, (_, i) => first + i)
      await sql`
        insert into bench_sketches select ${n}, * from unnest(
          ${all}::int[], ${all.map((k) => sketchOf(n, k, (id) => `origin-${id}`))}::bytea[],
          ${all.map((k) => sketchOf(n, k, (id) => `endpoint-${id >> 1}`))}::bytea[]
        )
      `.execute(db)
    }
  }
  await sql`alter table bench_sketches add primary key (n, k)`.execute(db)
  await sql`analyze bench_sketches`.execute(db)
}

const sketchOf = (n: number, k: number, nameOf: (id: number) => string): Buffer => {
  const sketch = new HyperLogLog()
  for (let i = 0; i < n; i++) sketch.add(nameOf(k * n + i))
  return Buffer.from(sketch.toBytes())
}

const SLOTS = 20_000

/** Each name in as many of the slots as its part of all is, by Zipf's law; with the part of all before it, from 0 to 1. */
const zipf = (count: number): { slots: number[]; befores: number[]; parts: number[] } => {
  const weights = Array.from({ length: count }, (_, i) => 1 / (i + 1))
  const all = weights.reduce((sum, one) => sum + one, 0)
  const parts = weights.map((one) => one / all)
  const slots: number[] = []
  const befores: number[] = []
  let before = 0
  for (const [i, part] of parts.entries()) {
    befores.push(before)
    before += part
    while (slots.length < before * SLOTS) slots.push(i)
  }
  return { slots: slots.slice(0, SLOTS), befores, parts }
}

/** What the dice say: a column of it is read for each throw. */
const fillChoices = async (db: Sql, { repositories, countries, networks }: Size): Promise<void> => {
  const country = zipf(countries)
  await sql`
    create unlogged table bench_choices as
    select *, (${country.befores}::float8[])[1 + country] as c_before, (${country.parts}::float8[])[1 + country] as c_part
    from unnest(
      ${Array.from({ length: SLOTS }, (_, i) => i)}::int[], ${zipf(repositories).slots}::int[], ${country.slots}::int[],
      ${zipf(networks).slots}::int[], ${zipf(10).slots}::int[]
    ) as choices (slot, repository, country, network, tag)
  `.execute(db)
  await sql`alter table bench_choices add primary key (slot)`.execute(db)
  await sql`analyze bench_choices`.execute(db)
}

const DICE = `floor(random() * ${SLOTS})::int`

/** Popular repositories have more invocations in a row, and more origins. */
const fillFrom = async (db: Sql, day: string, { origins, rowsPerDay }: Size): Promise<void> => {
  const n = (count: string): string =>
    `case when ${count} < 1 then 0 when ${count} < 2 then 1 when ${count} < 5 then 2 when ${count} < 20 then 5 else 20 end`
  await sql`
    insert into pulls.days (day, registry, repository, tag, digest, platform, platform_from, os, arch, client, client_version,
      kind, country, network, network_kind, signed_in, source, ${sql.raw(COUNTED_NUMBERS.join(', '))}, origins, endpoints, sources)
    select r.day, ${REGISTRY}, 'team/app-' || r.repository, case when r.tag > 0 then '1.' || r.tag end,
      'sha256:' || md5(r.repository || '/' || r.tag) || md5(r.tag || '/' || r.repository),
      case when r.pulls = 0 then 'unknown' when r.client % 3 = 0 then 'linux/arm64' else 'linux/amd64' end,
      case when r.pulls > 0 then 'index' end, case when r.client < 6 then 'linux' end,
      case when r.client < 6 then case when r.client % 3 = 0 then 'arm64' else 'amd64' end end,
      'client-' || r.client, '1.' || r.version, (array['runtime', 'runtime', 'builder', 'updater', 'scanner', 'cli'])[1 + r.client % 6],
      case when r.country > 0 then chr(65 + r.country % 26) || chr(65 + r.country / 26) end,
      case when r.network > 0 then 'Network ' || r.network end, (array['cloud', 'isp', 'hosting', 'business'])[1 + r.network % 4],
      r.client % 4 = 1, 'notification',
      r.invocations, r.pulls, r.pulls / 2, 0, r.pulls, r.pulls * 2, (r.invocations + 1) / 2, case when r.tag > 0 then r.pulls else 0 end,
      case when r.tag = 0 then r.invocations else 0 end, case when r.tag > 0 then r.invocations - r.pulls else 0 end, 0, 0, 0,
      r.pulls * 40000000::bigint, p.origins, p.endpoints, s.origins
    from (
      select *, ${sql.raw(n('pulls'))} as pullers, ${sql.raw(n('invocations'))} as sources,
        -- Of the origins of a country those at its beginning come more often.
        ((c_before + c_part * place * place) * ${origins})::int as origin
      from (
        select *, (invocations * (0.2 + 0.6 * share))::int as pulls
        from (
          select day, r.repository, t.tag, client, version, c.country, n.network, share, place, c.c_before, c.c_part,
            ceil(2.2 * (0.4 + 2.2 / sqrt(1 + r.repository)) / power(luck + 0.05, 0.6))::bigint as invocations
          from (
            select ${day}::date as day, ${sql.raw(DICE)} as r_slot, ${sql.raw(DICE)} as t_slot, ${sql.raw(DICE)} as c_slot,
              ${sql.raw(DICE)} as n_slot, floor(10 * power(random(), 1.5))::int as client,
              floor(5 * power(random(), 2))::int as version, random() as share, random() as place, random() as luck
            from generate_series(1, ${rowsPerDay}) row
          ) chosen
            join bench_choices r on r.slot = r_slot
            join bench_choices t on t.slot = t_slot
            join bench_choices c on c.slot = c_slot
            join bench_choices n on n.slot = n_slot
        ) counted
      ) pulled
    ) r
      join bench_sketches p on p.n = r.pullers and p.k = case when r.pullers = 0 then 0 else least(r.origin / r.pullers, ${origins} / r.pullers - 1) end
      join bench_sketches s on s.n = r.sources and s.k = least(r.origin / r.sources, ${origins} / r.sources - 1)
    order by r.day, r.repository
  `.execute(db)
}

const copyDay = async (db: Sql, day: string): Promise<void> => {
  const columns = [...DIMENSION_COLUMNS, ...COUNTED_NUMBERS, ...COUNTED_SKETCHES].join(', ')
  await sql`
    insert into pulls.days (day, ${sql.raw(columns)})
    select ${day}::date, ${sql.raw(columns)} from pulls.days where day = ${addDays(day, -DICED_DAYS)}::date
  `.execute(db)
}
