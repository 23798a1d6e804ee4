import { hasCause, isStorageUnavailable } from '../storage/unavailable.js'
import { isConflict, isContentError, sqlState, type Database } from '../storage/sql/database.js'
import type { SketchStore } from '../storage/sketches/sketch-store.js'
import { within } from '../runtime/timeout.js'

/** Whether the stores take writes; if not, why, in words that quote nothing that was sent. */
export type WriteState = { ok: true } | { ok: false; reason: string }

/** Follows what becomes of writes. */
export type WriteCheck = {
  /** Notifications were answered. */
  succeeded: () => void
  /** A notification was not stored, because of this error. */
  failed: (error: unknown) => void
  /** Whether writes work now. */
  check: () => Promise<WriteState>
}

/** Milliseconds for which the last notification says how writes are, whatever a probe says. */
const RECENT_MS = 10_000
/** Milliseconds from one probe to the next: whoever asks for readiness makes no load. */
const PROBE_EVERY_MS = 3_000
const PROBE_LIMIT_MS = 2_000

type Needs = {
  /** Writes something small to each store. */
  probe: () => Promise<void>
  /** Milliseconds of a clock that is never set back. */
  elapsed: () => number
}

/**
 * Writes fail while the last notification could not be stored, as a probe may not need what was missing. Without notifications a
 * probe shows: a store that answers reads may refuse writes (disk full, read only, no memory).
 */
export const createWriteCheck = ({ probe, elapsed }: Needs): WriteCheck => {
  let succeededAt = -Infinity
  let failure: { at: number; reason: string } | undefined
  let probed: { at: number; state: Promise<WriteState> } | undefined

  const probeNow = async (): Promise<WriteState> => {
    try {
      await within(PROBE_LIMIT_MS, probe())
      return { ok: true }
    } catch (error) {
      return { ok: false, reason: reasonOf(error) }
    }
  }

  return {
    succeeded: () => {
      succeededAt = elapsed()
      failure = undefined
    },
    failed: (error) => {
      // Too much is waiting, or an event finds a defect: that is no answer of a store.
      if (isOfStore(error)) failure = { at: elapsed(), reason: reasonOf(error) }
    },
    check: async () => {
      if (!probed || elapsed() - probed.at >= PROBE_EVERY_MS) probed = { at: elapsed(), state: probeNow() }
      const { at, state } = probed
      const found = await state
      if (failure && elapsed() - failure.at < RECENT_MS) return { ok: false, reason: failure.reason }
      return succeededAt > at ? { ok: true } : found
    },
  }
}

/** A write to each store that changes nothing that counts. */
export const probeWrites = async ({
  database,
  sketches,
}: {
  database: Database
  sketches: SketchStore
}): Promise<void> => {
  await Promise.all([database.run(PROBE, []), sketches.probeWrite()])
}

/** A lease that is over as soon as it is taken. */
const PROBE = {
  name: 'probe_write',
  text: `insert into leases (name, holder, until) values ('write-probe', 'write-probe', now())
    on conflict (name) do update set until = excluded.until`,
}

/** What one notification contains, or a conflict of two, stops no other one: neither is a store that takes no writes. */
const isOfStore = (error: unknown): boolean => isStorageUnavailable(error) || hasCause(error, isRefusalOfWrites)

const isRefusalOfWrites = (error: Error): boolean =>
  sqlState(error) !== undefined && !isContentError(error) && !isConflict(error)

const REASONS: Record<string, string> = {
  '25006': 'PostgreSQL is read-only',
  '53100': 'the disk of the database is full',
  '53200': 'the database is out of memory or locks',
}
/** How Redis's refusals begin. */
const REDIS_REFUSAL = /^(?:OOM|READONLY|MISCONF|NOREPLICAS|LOADING|CLUSTERDOWN|MASTERDOWN|NOAUTH|WRONGPASS|NOPERM)\b/

const reasonOf = (error: unknown): string => {
  let reason: string | undefined
  hasCause(error, (one) => {
    const state = sqlState(one)
    const refusal = REDIS_REFUSAL.exec(one.message)?.[0]
    if (state !== undefined) reason = REASONS[state] ?? `the database refuses them (SQLSTATE ${state})`
    else if (refusal !== undefined) reason = `Redis refuses them (${refusal})`
    return reason !== undefined
  })
  return reason ?? 'a store does not answer'
}
