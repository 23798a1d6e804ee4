import { sql, type RawBuilder } from 'kysely'
import { deleteSome } from '../sql/batched.js'
import type { Database, Sql } from '../sql/database.js'
import { countUnion, HyperLogLog } from './hyperloglog/hyperloglog.js'
import { createKnownMembers } from './known-members.js'
import { DamagedSketch, possibleCount, type SketchStore, type StoredSketch } from './sketch-store.js'

const KEYS_PER_PAGE = 500
/** Limits how late a lifetime is renewed. */
const REMEMBERED_MS = 24 * 60 * 60 * 1000

type Row = { key: string; value: Buffer }

/**
 * Sketches in the table `sketches` of the SQL database, written in the caller's transaction. Rows are locked in the order
 * of their keys, so that several processes may write at once without a deadlock.
 */
export const createSqlSketches = (database: Database): SketchStore => {
  const known = createKnownMembers(REMEMBERED_MS)
  database.losses.onLoss(known.clear)

  return {
    name: 'sql',

    addAlone: (additions) => (known.without(additions).length === 0 ? Promise.resolve() : undefined),

    add: async (additions, tx) => {
      const news = known.without(additions).sort((a, b) => (a.key < b.key ? -1 : 1))
      if (news.length === 0) return
      const stored = await lockSketches(
        tx,
        news.map(({ key }) => key),
      )
      await writeSketches(
        tx,
        news.map(({ key, members, seconds }) => ({ key, bytes: withMembers(stored.get(key), members), seconds })),
      )
      tx.afterCommit(() => {
        known.learn(news)
      })
    },

    replace: async (key, sketch, seconds, tx) => {
      known.clear()
      if (sketch) await writeSketches(tx, [{ key, bytes: sketch.toBytes(), seconds }])
      else await sql`delete from sketches where key = ${key}`.execute(tx)
    },

    count: async (unions) => {
      const keys = [...new Set(unions.flat())]
      const { rows } = await sql<Row>`
        select key, value from sketches where key = any(${keys}::text[]) and expires_at > now()
      `.execute(database.sql)
      const sketches = new Map(rows.map(({ key, value }) => [key, readSketch(key, value)]))
      return unions.map((union) => countOf(union, sketches))
    },

    entries: (prefix) => pages(database.sql, prefix),

    merge: async ({ key, bytes, seconds }) =>
      database.transaction(async (tx) => {
        const before = (await lockSketches(tx, [key])).get(key)
        await writeSketches(tx, [{ key, bytes: before && !isEmpty(before) ? merged(before, bytes) : bytes, seconds }])
      }),

    probeWrite: async () => Promise.resolve(),
    version: async () => database.version(),
    close: async () => Promise.resolve(),
  }
}

/** The sketches under the keys, locked until the transaction ends. Keys without a row first get an empty sketch. */
const lockSketches = async (tx: Sql, keys: string[]): Promise<Map<string, Uint8Array>> => {
  const select = async (wanted: string[]): Promise<Row[]> =>
    (
      await sql<Row>`
        select key, value from sketches where key = any(${wanted}::text[]) order by key for update
      `.execute(tx)
    ).rows
  const rows = await select(keys)
  const found = new Set(rows.map(({ key }) => key))
  const missing = keys.filter((key) => !found.has(key))
  if (missing.length > 0) {
    await sql`
      insert into sketches (key, value, expires_at)
      select key, ${Buffer.from(new HyperLogLog().toBytes())}, now() from unnest(${missing}::text[]) as missing (key) order by key
      on conflict do nothing
    `.execute(tx)
    rows.push(...(await select(missing)))
  }
  return new Map(rows.map(({ key, value }) => [key, value]))
}

const writeSketches = async (tx: Sql, sketches: StoredSketch[]): Promise<void> => {
  await sql`
    insert into sketches (key, value, expires_at)
    select key, value, now() + seconds * interval '1 second'
    from unnest(
      ${sketches.map(({ key }) => key)}::text[],
      ${sketches.map(({ bytes }) => Buffer.from(bytes))}::bytea[],
      ${sketches.map(({ seconds }) => seconds)}::bigint[]
    ) as arriving (key, value, seconds)
    order by key
    on conflict (key) do update
      set value = excluded.value, expires_at = greatest(excluded.expires_at, sketches.expires_at)
  `.execute(tx)
}

const withMembers = (stored: Uint8Array | undefined, members: ReadonlySet<string>): Uint8Array => {
  const sketch = new HyperLogLog(stored)
  for (const member of members) sketch.add(member)
  return sketch.toBytes()
}

const isEmpty = (bytes: Uint8Array): boolean => countUnion([new HyperLogLog(bytes)]) === 0

const merged = (before: Uint8Array, arriving: Uint8Array): Uint8Array => {
  const sketch = new HyperLogLog(before)
  sketch.merge(new HyperLogLog(arriving))
  return sketch.toBytes()
}

/** A row that is no sketch affects only the unions that contain it. */
const readSketch = (key: string, value: Uint8Array): HyperLogLog | DamagedSketch => {
  try {
    return new HyperLogLog(value)
  } catch {
    return new DamagedSketch([key])
  }
}

const countOf = (
  keys: readonly string[],
  stored: ReadonlyMap<string, HyperLogLog | DamagedSketch>,
): number | DamagedSketch => {
  const sketches = keys.flatMap((key) => stored.get(key) ?? [])
  const damaged = sketches.find((sketch) => sketch instanceof DamagedSketch)
  return damaged ?? possibleCount(keys, countUnion(sketches as HyperLogLog[]))
}

async function* pages(db: Sql, prefix: string): AsyncGenerator<StoredSketch> {
  let after = ''
  for (;;) {
    const { rows } = await sql<Row & { seconds: string }>`
      select key, value, ceil(extract(epoch from expires_at - now())) as seconds from sketches
      where starts_with(key, ${prefix}) and key > ${after} and expires_at > now() order by key limit ${KEYS_PER_PAGE}
    `.execute(db)
    for (const { key, value, seconds } of rows) yield { key, bytes: value, seconds: Number(seconds) }
    const last = rows.at(-1)
    if (!last || rows.length < KEYS_PER_PAGE) return
    after = last.key
  }
}

/** Fewer rows than elsewhere: a sketch may have 12 kB. */
const SKETCHES_AT_ONCE = 1_000

/** A step that deletes expired sketches. */
export const deleteExpiredSketches = (): RawBuilder<unknown> =>
  deleteSome('sketches', sql`expires_at < now()`, SKETCHES_AT_ONCE)
