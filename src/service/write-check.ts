import { hasCause, isStorageUnavailable } from '../storage/unavailable.js'
import { isConflict, isContentError, sqlState, type Database } from '../storage/sql/database.js'
import { DamagedSketch, type SketchStore } from '../storage/sketches/sketch-store.js'
import { within } from '../runtime/timeout.js'

/** Whether the stores accept writes. If not, the reason, which quotes nothing from a client. */
export type WriteState = { ok: true } | { ok: false; reason: string }

/** Tracks whether writes succeed. */
export type WriteCheck = {
  /** Notifications were answered. */
  succeeded: () => void
  /** Called with the error if a notification could not be stored. */
  failed: (error: unknown) => void
  /** Whether writes work now. */
  check: () => Promise<WriteState>
}

/** Milliseconds for which the failure of a notification counts, whatever a probe returns. */
const RECENT_MS = 10_000
/** Milliseconds between two probes, so that many readiness checks cause no load. */
const PROBE_EVERY_MS = 3_000
const PROBE_LIMIT_MS = 2_000

type Needs = {
  /** Writes a small value to each store. */
  probe: () => Promise<void>
  /** The time of a monotonic clock in milliseconds. */
  elapsed: () => number
}

/**
 * Reports failing writes if the last notification could not be stored, even if a probe succeeds: the probe may not need the
 * missing resource. Without notifications, the probe decides: a store that answers reads may refuse writes (disk full, read-only,
 * no memory).
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
      // A full queue or a defect of Tallyman is no failure of a store.
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

/** Writes to each store without changing any number. */
export const probeWrites = async ({
  database,
  sketches,
}: {
  database: Database
  sketches: SketchStore
}): Promise<void> => {
  await Promise.all([database.run(PROBE, []), sketches.probeWrite()])
}

/** A lease that expires at once. */
const PROBE = {
  name: 'probe_write',
  text: `insert into leases (name, holder, until) values ('write-probe', 'write-probe', now())
    on conflict (name) do update set until = excluded.until`,
}

/**
 * Whether a store refused the write. An error in the content of one notification, or a conflict between two, does not affect
 * other notifications. A damaged sketch affects each notification that counts for it.
 */
const isOfStore = (error: unknown): boolean =>
  isStorageUnavailable(error) || hasCause(error, (one) => isRefusalOfWrites(one) || one instanceof DamagedSketch)

const isRefusalOfWrites = (error: Error): boolean =>
  sqlState(error) !== undefined && !isContentError(error) && !isConflict(error)

const REASONS: Record<string, string> = {
  '2200H': 'a sequence of the database has no numbers left (SQLSTATE 2200H)',
  '23505': 'a key exists already (SQLSTATE 23505): a restart of the service raises sequences that are behind',
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
    else if (one instanceof DamagedSketch) reason = one.message
    return reason !== undefined
  })
  return reason ?? 'a store does not answer'
}
