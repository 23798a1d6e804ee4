import { sql } from 'kysely'
import type { Database, Sql } from '../storage/database.js'
import { HyperLogLog } from '../storage/hyperloglog/hyperloglog.js'
import type { SketchStore } from '../storage/sketch-store.js'
import { KEY_PREFIX, parseSketchKey } from './keys.js'

/** A line of an export. */
type Heading = { kind: 'tallyman-counters'; version: number; users_key_fingerprint: string }
type SketchLine = { kind: 'sketch'; key: string; seconds: number; bytes: string }
type Row = Record<string, unknown>
type Line = Heading | SketchLine | ({ kind: string } & Row)

/** An export cannot be taken in. The message says which line, and why. */
export class ImportError extends Error {}

/** How many lines of each kind were taken in. */
export type Transferred = Record<string, number>

type Stores = { database: Database; sketches: SketchStore }

const VERSION = 1
const ROWS_PER_PAGE = 1_000

type Table = {
  /** The rows after one, in the order of the key; JSON numbers and text only. */
  page: (db: Sql, after: Row | undefined) => Promise<Row[]>
  /** Takes rows in so that doing it twice changes nothing. */
  take: (db: Sql, rows: string) => Promise<unknown>
}

/** The tables whose rows move with the sketches, by the kind of their lines. */
const TABLES: Record<string, Table> = {
  tally: {
    page: async (db, after) =>
      pageOf(
        sql`
        select name, day::text, value::float8 from tallies
        where (name, day) > (${after?.name ?? ''}, ${after?.day ?? '-infinity'}::date)
        order by name, day limit ${ROWS_PER_PAGE}
      `,
        db,
      ),
    take: async (db, rows) =>
      sql`
        insert into tallies (name, day, value)
        select name, day, value from json_to_recordset(${rows}::json) as arriving (name text, day date, value bigint)
        on conflict (name, day) do update set value = greatest(tallies.value, excluded.value)
      `.execute(db),
  },
  repository: {
    page: async (db, after) =>
      pageOf(
        sql`
        select registry, name, to_char(first_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as first_at,
               first_event, if_first, if_known
        from repositories where (registry, name) > (${after?.registry ?? ''}, ${after?.name ?? ''})
        order by registry, name limit ${ROWS_PER_PAGE}
      `,
        db,
      ),
    take: async (db, rows) =>
      sql`
        insert into repositories (registry, name, first_at, first_event, if_first, if_known)
        select * from json_to_recordset(${rows}::json) as arriving (
          registry text, name text, first_at timestamptz, first_event uuid, if_first jsonb, if_known jsonb
        )
        on conflict (registry, name) do update
          set first_at = excluded.first_at, first_event = excluded.first_event,
              if_first = excluded.if_first, if_known = excluded.if_known
          where (excluded.first_at, excluded.first_event) < (repositories.first_at, repositories.first_event)
      `.execute(db),
  },
  unresolved_user: {
    page: async (db, after) =>
      pageOf(
        sql`
        select name, event, day::text from unresolved_users
        where (name, event, day) > (${after?.name ?? ''}, ${after?.event ?? ''}, ${after?.day ?? '-infinity'}::date)
        order by name, event, day limit ${ROWS_PER_PAGE}
      `,
        db,
      ),
    take: async (db, rows) =>
      sql`
        insert into unresolved_users (name, event, day)
        select * from json_to_recordset(${rows}::json) as arriving (name text, event text, day date)
        on conflict do nothing
      `.execute(db),
  },
}

const pageOf = async (query: { execute: (db: Sql) => Promise<{ rows: unknown[] }> }, db: Sql): Promise<Row[]> =>
  (await query.execute(db)).rows as Row[]

/**
 * All counters as lines of JSON: sketches in Redis's bytes, tallies, and what is known of repositories.
 * @param fingerprint of the key that names are hashed with: elsewhere the same people would have other ids.
 */
export async function* exportCounters({ database, sketches }: Stores, fingerprint: string): AsyncGenerator<string> {
  const line = (value: Line): string => `${JSON.stringify(value)}\n`
  yield line({ kind: 'tallyman-counters', version: VERSION, users_key_fingerprint: fingerprint })
  for await (const { key, bytes, seconds } of sketches.entries(KEY_PREFIX)) {
    yield line({ kind: 'sketch', key, seconds, bytes: Buffer.from(bytes).toString('base64') })
  }
  for (const [kind, { page }] of Object.entries(TABLES)) {
    let rows = await page(database.sql, undefined)
    while (rows.length > 0) {
      for (const row of rows) yield line({ kind, ...row })
      rows = await page(database.sql, rows.at(-1))
    }
  }
}

/**
 * Takes an export in. Doing it twice changes nothing: sketches are united, the greater tally stays, the earlier first event
 * of a repository stays. It moves counters to a new store; it does not add up two stores that counted side by side.
 * @param fingerprint that the export must have; undefined accepts any.
 * @throws ImportError
 */
export const importCounters = async (
  { database, sketches }: Stores,
  lines: AsyncIterable<string>,
  fingerprint: string | undefined,
): Promise<Transferred> => {
  const done: Transferred = { sketch: 0, ...Object.fromEntries(Object.keys(TABLES).map((kind) => [kind, 0])) }
  const waiting = new Map<string, Row[]>()
  const flush = async (kind: string): Promise<void> => {
    await TABLES[kind]?.take(database.sql, JSON.stringify(waiting.get(kind) ?? []))
    waiting.delete(kind)
  }

  let number = 0
  for await (const text of lines) {
    number++
    const line = parseLine(text, number)
    if (number === 1) {
      checkHeading(line, fingerprint)
      continue
    }
    if (!(line.kind in done))
      throw new ImportError(`line ${number}: "${line.kind}" is not known; the export may be of a later version`)
    if (line.kind === 'sketch') {
      await importSketch(sketches, line as SketchLine, number)
    } else {
      const rows = waiting.get(line.kind) ?? []
      waiting.set(line.kind, [...rows, line])
      if (rows.length + 1 === ROWS_PER_PAGE) await flush(line.kind)
    }
    done[line.kind] = (done[line.kind] ?? 0) + 1
  }
  if (number === 0) throw new ImportError('the export is empty')
  for (const kind of waiting.keys()) await flush(kind)
  return done
}

const parseLine = (text: string, number: number): Line => {
  try {
    return JSON.parse(text) as Line
  } catch {
    throw new ImportError(`line ${number}: not JSON; the export may be cut off`)
  }
}

const checkHeading = (line: Line, fingerprint: string | undefined): void => {
  if (line.kind !== 'tallyman-counters') throw new ImportError('line 1: not an export of Tallyman')
  const { version, users_key_fingerprint } = line as Heading
  if (version !== VERSION) throw new ImportError(`line 1: version ${version} is not known, expected ${VERSION}`)
  if (fingerprint !== undefined && users_key_fingerprint !== fingerprint) {
    throw new ImportError(
      'line 1: these users were counted with another key, so everybody would count twice; ' +
        'copy users.key from the data directory of the export (or set TALLYMAN_USERS_KEY), or pass --other-users',
    )
  }
}

const importSketch = async (
  sketches: SketchStore,
  { key, bytes, seconds }: SketchLine,
  number: number,
): Promise<void> => {
  if (typeof key !== 'string' || !parseSketchKey(key))
    throw new ImportError(`line ${number}: the key is not one of Tallyman's`)
  if (!Number.isSafeInteger(seconds) || seconds < 1)
    throw new ImportError(`line ${number}: seconds is not a whole number above 0`)
  try {
    const sketch = new HyperLogLog(Buffer.from(bytes, 'base64'))
    await sketches.merge({ key, bytes: sketch.toBytes(), seconds })
  } catch (error) {
    throw new ImportError(`line ${number}: ${error instanceof Error ? error.message : 'cannot be stored'}`)
  }
}
