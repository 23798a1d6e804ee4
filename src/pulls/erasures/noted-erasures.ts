import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'

/** The pulls to erase: of an origin, of a repository, or of an origin in a repository. */
export type Erasure = {
  origin?: string | undefined
  repository?: string | undefined
  /**
   * All names under which pulls of the registry may be recorded, because rows under an alias are moved later; undefined for all
   * registries.
   */
  registries?: readonly string[] | undefined
}

/** An erasure that is stored until it is finished, because its process may end meanwhile. */
export type NotedErasure = Erasure & { number: string }

/** The table of unfinished erasures, whose file contains origins, too. */
export const ERASURES = 'pulls.erasures'

/** Stores an erasure. The caller must commit before the erasure begins. */
export const noteErasure = async (db: Sql, erasure: Erasure): Promise<NotedErasure> => {
  const { origin = null, repository = null, registries = null } = erasure
  const { rows } = await sql<{ number: string }>`
    insert into pulls.erasures (origin, repository, registries)
    values (${origin}, ${repository}, ${registries}::text[]) returning number
  `.execute(db)
  return { ...erasure, number: rows[0]?.number ?? '' }
}

export const removeNote = async (db: Sql, { number }: NotedErasure): Promise<void> => {
  await sql`delete from pulls.erasures where number = ${number}`.execute(db)
}

/** The unfinished erasures that began at least so many minutes ago; they may still be running. */
export const unfinishedErasures = async (db: Sql, minutes: number): Promise<NotedErasure[]> => {
  const { rows } = await sql<{
    number: string
    origin: string | null
    repository: string | null
    registries: string[] | null
  }>`
    select number, origin, repository, registries from pulls.erasures
    where noted_at <= now() - ${minutes} * interval '1 minute'
      -- The clock was ahead when it began.
      or noted_at > now()
    order by number
  `.execute(db)
  return rows.map(({ number, origin, repository, registries }) => ({
    ...{ number, origin: origin ?? undefined, repository: repository ?? undefined },
    registries: registries ?? undefined,
  }))
}

/** The key of the advisory lock between imports and erasures. */
const IMPORTS = 7_231_521

/**
 * The unfinished erasures. Imported requests that one of them names must not be stored: until the transaction ends, no other erasure
 * begins to read the stored ones.
 */
export const erasuresDuringImport = async (tx: Sql): Promise<NotedErasure[]> => {
  await sql`select pg_advisory_xact_lock_shared(${IMPORTS})`.execute(tx)
  return unfinishedErasures(tx, 0)
}

/**
 * Waits for the imports that do not know a noted erasure: they store their current portion first. Portions after that apply the
 * erasure.
 */
export const awaitImports = async (tx: Sql): Promise<void> => {
  await sql`select pg_advisory_xact_lock(${IMPORTS})`.execute(tx)
}
