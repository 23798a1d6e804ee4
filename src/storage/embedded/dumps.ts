import { sql } from 'kysely'
import { messageOf } from '../../runtime/error-message.js'
import { NoSpaceForDump } from './dump.js'
import { discardMarkedLog, rewritePending } from '../sql/erase-traces.js'
import { clearMark, markErasure, readMark, readRestoredAt } from '../sql/erasure-marks.js'
import { erasureWarnings } from '../sql/erasure-warnings.js'
import { createInTurn } from '../../runtime/in-turn.js'
import type { EmbeddedDatabase } from './pglite.js'

/** The state of the dumps of the embedded database, for operators. Times are UTC. */
export type DumpState = {
  /** The time of the state in the newest dump; null if there is none. */
  lastAt: Date | null
  /** When the newest attempt failed, and why; null if it succeeded. */
  failedAt: Date | null
  error: string | null
}

/** The dumps of the embedded database, written one at a time, and the erasures on which they depend. */
export type Dumps = {
  /** Writes a dump and keeps the newest three, or only the new one if older dumps may contain erased rows. */
  write: () => Promise<void>
  /**
   * Runs an erasure, then replaces all dumps by a new one. If there is no space for a new dump, dumps are removed, the oldest
   * first, until there is.
   */
  replaceAfter: <T>(erase: () => Promise<T>) => Promise<T>
  /**
   * Finishes the erasures from tables and the log that the previous process could not finish. An erasure that fails again is reported
   * and left to the next start. To be called before the service answers requests: no other statement may run at the same time.
   */
  finishErasures: () => Promise<void>
  /** Replaces dumps that may contain erased rows, and reports unfinished erasures. Other statements may run at the same time. */
  replaceMarked: () => Promise<void>
  state: () => Promise<DumpState>
  /** Registers the function that gets sentences for the operator. */
  onNotice: (then: (notice: string) => void) => void
}

const DUMPS_KEPT = 3
/** Files that a notice names. */
const MOST_NAMED = 10

const foreignNotice = (files: readonly string[]): string => {
  const rest = files.length - MOST_NAMED
  const more = rest > 0 ? ` and ${rest} more` : ''
  return (
    `Tallyman did not write these files and does not remove them: ${files.slice(0, MOST_NAMED).join(', ')}${more}. ` +
    'If they are copies of the database, they may contain what was erased'
  )
}

/** Runs an erasure that includes dumps, if the engine has them: PostgreSQL has no dumps. */
export const eraseAlsoFrom = async <T>(dumps: Dumps | undefined, erase: () => Promise<T>): Promise<T> =>
  dumps ? dumps.replaceAfter(erase) : erase()

export const createDumps = (database: EmbeddedDatabase, now: () => Date): Dumps => {
  const { sql: db, hasSpace } = database
  let notify: (notice: string) => void = () => undefined
  let erasures = 0
  // A dump removes the files of unfinished dumps, so no two dumps run at the same time.
  const afterLast = createInTurn()

  const attempt = async (): Promise<string> => {
    try {
      const file = await database.dump(now(), DUMPS_KEPT)
      await sql`delete from dump_failures`.execute(db)
      return file
    } catch (error) {
      // The error of the dump explains more than a failure to record it.
      await recordFailure(error).catch(() => undefined)
      throw error
    }
  }
  const recordFailure = async (error: unknown): Promise<void> => {
    await sql`
      with old as (delete from dump_failures where failed_at <> ${now()})
      insert into dump_failures values (${now()}, ${messageOf(error)})
      on conflict (failed_at) do update set error = excluded.error
    `.execute(db)
  }

  /** @param until only dumps of states until this time are removed; without it, all dumps */
  const attemptWithLessDumps = async (until: Date | undefined): Promise<string> => {
    for (;;) {
      try {
        return await attempt()
      } catch (error) {
        const removed = error instanceof NoSpaceForDump ? database.removeOldestDump(until) : undefined
        if (removed === undefined) throw error
        notify(`${removed} was removed: it may contain erased rows, and there is no space for a new dump beside it`)
      }
    }
  }
  const replace = async (): Promise<void> => {
    const number = await readMark(db, 'dumps')
    const restoredAt = await readRestoredAt(db)
    if (database.hasDumps()) {
      try {
        database.removeDumpsBut(await attemptWithLessDumps(restoredAt), restoredAt)
      } catch (error) {
        if (database.hasDumps()) throw error
        notify(`there is no dump any more, and no new one could be written: ${messageOf(error)}`)
      }
    }
    await clearMarkOf(number)
  }
  // A dump that is written during an erasure may contain erased rows.
  const clearMarkOf = async (number: string | undefined): Promise<void> => {
    if (erasures > 0 || number === undefined) return
    await clearMark(db, 'dumps', number)
    const foreign = database.foreignFiles()
    if (foreign.length > 0) notify(foreignNotice(foreign))
  }

  // A dump that began during the erasure may end later. Because of the new number it does not remove the mark.
  const endErasure = async (): Promise<void> => {
    await markErasure(db, ['dumps']).finally(() => erasures--)
  }

  const notifyOfFailure = (error: unknown): void => {
    notify(`an erasure is not finished: ${messageOf(error)}`)
  }
  const notifyOfTheRest = async (): Promise<void> => {
    for (const warning of await erasureWarnings(database)) notify(warning)
  }

  return {
    write: async () =>
      afterLast(async () => {
        await discardMarkedLog(db, hasSpace)
        const number = await readMark(db, 'dumps')
        if (number !== undefined && database.hasDumps()) await replace()
        else {
          await attempt()
          await clearMarkOf(number)
        }
        await notifyOfTheRest()
      }),
    replaceAfter: async (erase) => {
      await markErasure(db, ['dumps'])
      erasures++
      const erased = await erase().finally(endErasure)
      await afterLast(replace)
      return erased
    },
    finishErasures: async () => {
      for (const step of [rewritePending, discardMarkedLog]) {
        try {
          await step(db, hasSpace)
        } catch (error) {
          const failure = database.failure()
          if (failure) throw failure
          notifyOfFailure(error)
        }
      }
    },
    replaceMarked: async () => {
      try {
        await afterLast(async () => {
          if ((await readMark(db, 'dumps')) !== undefined) await replace()
        }).catch(notifyOfFailure)
        await notifyOfTheRest()
      } catch (error) {
        notifyOfFailure(error)
      }
    },
    state: async () => {
      const { rows } = await sql<{ failedAt: Date; error: string }>`
        select failed_at as "failedAt", error from dump_failures
      `.execute(db)
      return { lastAt: database.newestDumpAt(), failedAt: rows[0]?.failedAt ?? null, error: rows[0]?.error ?? null }
    },
    onNotice: (then) => {
      notify = then
    },
  }
}
