import { sql } from 'kysely'
import type { Database } from '../storage/database.js'
import type { SketchStore } from '../storage/sketch-store.js'
import { KEY_PREFIX, parseSketchKey } from './keys.js'

/** A line of an export. */
type Line =
  | { kind: 'tallyman-counters'; version: 1; users_key_fingerprint: string }
  | { kind: 'sketch'; key: string; seconds: number; bytes: string }
  | { kind: 'tally'; name: string; day: string; value: number }
  | {
      kind: 'repository'
      registry: string
      name: string
      first_at: string
      first_event: string
      if_first: unknown
      if_known: unknown
    }

/** An export cannot be taken in. The message says which line, and why. */
export class ImportError extends Error {}

export type Transferred = { sketches: number; tallies: number; repositories: number }

type Stores = { database: Database; sketches: SketchStore }

const ROWS_PER_PAGE = 1_000

/**
 * All counters as lines of JSON: sketches in Redis's bytes, tallies, and what is known of repositories.
 * @param fingerprint of the key that names are hashed with: elsewhere the same people would have other ids.
 */
export async function* exportCounters({ database, sketches }: Stores, fingerprint: string): AsyncGenerator<string> {
  const line = (value: Line): string => `${JSON.stringify(value)}\n`
  yield line({ kind: 'tallyman-counters', version: 1, users_key_fingerprint: fingerprint })
  for await (const { key, bytes, seconds } of sketches.entries(KEY_PREFIX)) {
    yield line({ kind: 'sketch', key, seconds, bytes: Buffer.from(bytes).toString('base64') })
  }
  for await (const row of tallyRows(database)) yield line({ kind: 'tally', ...row })
  for await (const row of repositoryRows(database)) yield line({ kind: 'repository', ...row })
}

async function* tallyRows(database: Database): AsyncGenerator<{ name: string; day: string; value: number }> {
  let after = { name: '', day: '-infinity' }
  for (;;) {
    const { rows } = await sql<{ name: string; day: string; value: string }>`
      select name, day::text as day, value from tallies
      where (name, day) > (${after.name}, ${after.day}::date) order by name, day limit ${ROWS_PER_PAGE}
    `.execute(database.sql)
    for (const row of rows) yield { ...row, value: Number(row.value) }
    const last = rows.at(-1)
    if (!last) return
    after = last
  }
}

type RepositoryRow = Omit<Extract<Line, { kind: 'repository' }>, 'kind'>

async function* repositoryRows(database: Database): AsyncGenerator<RepositoryRow> {
  let after = { registry: '', name: '' }
  for (;;) {
    const { rows } = await sql<RepositoryRow>`
      select registry, name, to_char(first_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as first_at, first_event, if_first, if_known
      from repositories where (registry, name) > (${after.registry}, ${after.name}) order by registry, name limit ${ROWS_PER_PAGE}
    `.execute(database.sql)
    yield* rows
    const last = rows.at(-1)
    if (!last) return
    after = last
  }
}

/**
 * Takes an export in. Doing it twice changes nothing: sketches are united, the greater tally stays, the earlier first event
 * of a repository stays. It moves counters to a new store; it does not add up two stores that counted side by side.
 * @param lines of an export, in any order after the first.
 * @param fingerprint that the export must have; undefined accepts any.
 * @throws ImportError
 */
export const importCounters = async (
  { database, sketches }: Stores,
  lines: AsyncIterable<string>,
  fingerprint: string | undefined,
): Promise<Transferred> => {
  const done: Transferred = { sketches: 0, tallies: 0, repositories: 0 }
  let number = 0
  for await (const text of lines) {
    number++
    const line = parseLine(text, number)
    if (number === 1) checkHeading(line, fingerprint)
    else if (line.kind === 'sketch') {
      await importSketch(sketches, line, number)
      done.sketches++
    } else if (line.kind === 'tally') {
      await importTally(database, line)
      done.tallies++
    } else if (line.kind === 'repository') {
      await importRepository(database, line)
      done.repositories++
    } else throw new ImportError(`line ${number}: an unknown kind of line; the export may be of a later version`)
  }
  if (number === 0) throw new ImportError('the export is empty')
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
  if ((line.version as number) !== 1) throw new ImportError(`line 1: version ${line.version} is not known, expected 1`)
  if (fingerprint !== undefined && line.users_key_fingerprint !== fingerprint) {
    throw new ImportError(
      'line 1: these users were counted with another key, so everybody would count twice; ' +
        'copy users.key from the data directory of the export (or set TALLYMAN_USERS_KEY), or pass --other-users',
    )
  }
}

const importSketch = async (
  sketches: SketchStore,
  { key, bytes, seconds }: Extract<Line, { kind: 'sketch' }>,
  number: number,
): Promise<void> => {
  if (typeof key !== 'string' || !parseSketchKey(key))
    throw new ImportError(`line ${number}: the key is not one of Tallyman's`)
  if (!Number.isSafeInteger(seconds) || seconds < 1)
    throw new ImportError(`line ${number}: seconds is not a whole number above 0`)
  try {
    await sketches.merge({ key, bytes: Buffer.from(bytes, 'base64'), seconds })
  } catch (error) {
    throw new ImportError(`line ${number}: ${error instanceof Error ? error.message : 'cannot be stored'}`)
  }
}

const importTally = async (
  database: Database,
  { name, day, value }: Extract<Line, { kind: 'tally' }>,
): Promise<void> => {
  await sql`
    insert into tallies (name, day, value) values (${name}, ${day}::date, ${value})
    on conflict (name, day) do update set value = greatest(tallies.value, excluded.value)
  `.execute(database.sql)
}

const importRepository = async (
  database: Database,
  { registry, name, first_at, first_event, if_first, if_known }: Extract<Line, { kind: 'repository' }>,
): Promise<void> => {
  await sql`
    insert into repositories (registry, name, first_at, first_event, if_first, if_known)
    values (${registry}, ${name}, ${first_at}::timestamptz, ${first_event}::uuid,
            ${JSON.stringify(if_first)}::jsonb, ${JSON.stringify(if_known)}::jsonb)
    on conflict (registry, name) do update
      set first_at = excluded.first_at, first_event = excluded.first_event,
          if_first = excluded.if_first, if_known = excluded.if_known
      where (excluded.first_at, excluded.first_event) < (repositories.first_at, repositories.first_event)
  `.execute(database.sql)
}
