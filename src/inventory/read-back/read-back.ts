import { pauseMs } from '../../events/retry-after.js'
import { isStorageUnavailable } from '../../storage/unavailable.js'
import { isCancelled, isContentError, type Database } from '../../storage/sql/database.js'
import { retryConflicts } from '../../storage/sql/retry-conflicts.js'
import { messageOf } from '../../runtime/error-message.js'
import { isOver, msLeft, NO_WAIT, waitOf, type Wait } from '../../runtime/wait.js'
import { learnManifest } from '../record/learn-manifest.js'
import { BEGINNING, claimDue, dueAhead, postpone, putBack, type DueManifest, type Position } from './due-manifests.js'
import { RegistryBusy, RegistryError, RegistrySilent } from '../../registries/client/exchange.js'
import type { Registries } from '../../registries/registries.js'
import type { FetchedManifest, RegistryClient } from '../../registries/client/registry-client.js'

/** Concurrent requests to one registry. */
const AT_ONCE = 8
/** Manifests of one claim: also the most concurrent requests to all registries together. */
const CLAIM = 32
/** A manifest that no configured registry had may have come to one since. */
const WHOLE_WALK_MS = 60 * 60_000
/** A registry that asks for a longer pause is read again after this pause. */
const LONGEST_PAUSE_MS = 60 * 60_000
/** A registry that takes longer to answer is paused for a multiple of that time, in which others are read. */
const SLOW_MS = 3_000
const SLOW_PAUSE = { times: 4, longestMs: 60_000 }

export type ReadBack = {
  /** Reads all due manifests and returns how many were stored. Must not be called while a run is in progress. */
  run: () => Promise<number>
  /** Stops the current run after the manifests that are being read. */
  stop: () => void
}

type ReadBackDeps = {
  database: Database
  registries: Registries
  /** The client of a registry that has an address, by the name of the registry. */
  clientFor: (registry: string) => RegistryClient | undefined
  now: () => Date
  /** From 0 to 1. */
  random?: () => number
}

/**
 * Reads manifests from registries if events did not contain their contents: each digest once, from registries that the operator
 * configured, and after the notification was answered. The queue is in the table inventory.manifests, so that it survives a
 * restart, and processes share the work. A run begins a minute before the end of the last one, and once an hour at the
 * beginning. So manifests of registries that cannot be read cost nothing in between, however many there are. A registry that
 * asks to slow down is not read until its pause is over; this is no failed attempt. A registry that does not answer in time, or
 * slowly, is paused, too, so that others do not wait for it. Manifests of a paused registry are skipped. A run after the pause
 * begins where the first run that skipped them began.
 */
export const createReadBack = ({
  database,
  registries,
  clientFor,
  now,
  random = Math.random,
}: ReadBackDeps): ReadBack => {
  let after = BEGINNING
  let wholeWalk = NO_WAIT
  // A database that was restored has manifests to be read before the position.
  database.losses.onLoss(() => (wholeWalk = NO_WAIT))
  let stopped = false
  /** Why the database cancelled a statement of this run. */
  let cancelled: unknown
  /** Registries whose manifests were skipped because of a pause, and the beginning of the first walk that skipped them. */
  let skipped: { registries: Set<string>; from: Position } | undefined
  /** Registries that asked to slow down or did not answer, and when they may be read again. */
  const pauses = new Map<string, { wait: Wait; refusals: number; reason: string }>()

  const pauseLeft = (registry: string): number => msLeft(pauses.get(registry)?.wait ?? NO_WAIT, now())
  const pause = (registry: string, error: RegistryBusy | RegistrySilent): void => {
    const refusals = pauseLeft(registry) > 0 ? 0 : 1 + (pauses.get(registry)?.refusals ?? 0)
    if (refusals === 0) return
    const isBusy = error instanceof RegistryBusy
    const ms = Math.min(pauseMs(isBusy ? error : {}, refusals, random()), LONGEST_PAUSE_MS)
    const reason = isBusy ? 'the registry asks to slow down' : 'the registry does not answer in time'
    pauses.set(registry, { wait: waitOf(ms, now()), refusals, reason })
  }

  const pauseIfSlow = (registry: string, tookMs: number): void => {
    if (tookMs <= SLOW_MS) {
      pauses.delete(registry)
      return
    }
    const wait = waitOf(Math.min(tookMs * SLOW_PAUSE.times, SLOW_PAUSE.longestMs), now())
    pauses.set(registry, { wait, refusals: 0, reason: 'the registry answers slowly' })
  }

  const read = async (due: DueManifest): Promise<boolean> => {
    const name = registries.nameOf(due.registry)
    const since = now().getTime()
    const found = pauseLeft(name) > 0 ? { busy: true } : await fetchDue(due)
    if ('busy' in found) {
      const reason = pauses.get(name)?.reason ?? ''
      await putBack(database.sql, due, { pauseMs: pauseLeft(name), reason })
      return false
    }
    if (!('isSilent' in found)) pauseIfSlow(name, now().getTime() - since)
    if (cancelled !== undefined) return false
    const problem = 'problem' in found ? found.problem : await store(found.manifest)
    // If the database is unavailable, this statement fails, too, and ends the run.
    if (problem !== undefined) await postpone(database.sql, due, problem)
    return problem === undefined
  }

  /**
   * @returns how many were stored. Manifests that were claimed and not stored when the run ends are read after the claim has
   * expired.
   */
  const readAll = async (claimed: readonly DueManifest[]): Promise<number> => {
    const names = [...new Set(claimed.map(({ registry }) => registries.nameOf(registry)))]
    let learnt = 0
    const worker = async (queue: Iterable<DueManifest>): Promise<void> => {
      for (const due of queue) {
        if (stopped || cancelled !== undefined) return
        if (await read(due)) learnt++
      }
    }
    const workers = names.flatMap((name) => {
      const queue = claimed.filter(({ registry }) => registries.nameOf(registry) === name).values()
      return Array.from({ length: AT_ONCE }, async () => worker(queue))
    })
    await Promise.all(workers)
    return learnt
  }

  const fetchDue = async (
    due: DueManifest,
  ): Promise<{ manifest: FetchedManifest } | { problem: string; isSilent?: true } | { busy: true }> => {
    const { digest, registry, repository } = due
    const name = registries.nameOf(registry)
    try {
      const client = clientFor(name)
      if (!client) return { problem: `${registry} has no address in the configuration` }
      const manifest = await client.manifest(repository, digest)
      return manifest ? { manifest } : { problem: `${registry} has no such manifest in ${repository}` }
    } catch (error) {
      if (error instanceof RegistryBusy) {
        pause(name, error)
        return { busy: true }
      }
      if (error instanceof RegistrySilent) {
        pause(name, error)
        return { problem: error.message, isSilent: true }
      }
      // An unexpected error must not keep other manifests from being read.
      return { problem: error instanceof RegistryError ? error.message : 'the manifest could not be read' }
    }
  }

  /**
   * @returns why the database did not store it; undefined if it did. A manifest that can never be stored must not end every
   * run.
   */
  const store = async (manifest: FetchedManifest): Promise<string | undefined> => {
    try {
      await retryConflicts(async () => database.transaction(async (tx) => learnManifest(tx, manifest)))
      return undefined
    } catch (error) {
      // The embedded database was blocked meanwhile.
      if (database.engine === 'pglite' && isCancelled(error)) cancelled = error
      return whyNotStored(error)
    }
  }

  /**
   * The hosts that may be read now. The others are remembered, so that a later walk finds the manifests that this one skips.
   */
  const withoutPauses = (hosts: readonly string[]): string[] => {
    const paused = hosts.map((host) => registries.nameOf(host)).filter((name) => pauseLeft(name) > 0)
    if (paused.length > 0) skipped ??= { registries: new Set(), from: after }
    for (const name of paused) skipped?.registries.add(name)
    return hosts.filter((host) => pauseLeft(registries.nameOf(host)) === 0)
  }

  const takeCancelled = (): unknown => {
    const error = cancelled
    cancelled = undefined
    return error
  }

  /**
   * Walks from a position to the end of the due manifests.
   * @throws the reason why a statement was cancelled: the other manifests of the run would block the database, too
   */
  const walk = async (hosts: readonly string[]): Promise<number> => {
    let learnt = 0
    let resume: Position | undefined
    const names = new Map(hosts.map((host) => [host, registries.nameOf(host)]))
    for (let position: Position | undefined = after; position && !stopped;) {
      const unpaused = withoutPauses(hosts)
      if (unpaused.length === 0) return learnt
      const step = await claimDue(database, { registries: names, unpaused, after: position, most: CLAIM })
      resume ??= step.resume
      learnt += await readAll(step.claimed)
      if (cancelled !== undefined) throw takeCancelled()
      position = step.next
    }
    // Set last, because a walk that fails is repeated from where it began.
    if (resume) after = resume
    return learnt
  }

  return {
    run: async () => {
      const hosts = readableHosts(registries)
      if (hosts.length === 0) return 0
      if (isOver(wholeWalk, now())) {
        await dueAhead(database.sql)
        after = BEGINNING
        skipped = undefined
        wholeWalk = waitOf(WHOLE_WALK_MS, now())
      } else if (skipped && [...skipped.registries].some((name) => pauseLeft(name) === 0)) {
        after = skipped.from
        skipped = undefined
      }
      return walk(hosts)
    },
    stop: () => {
      stopped = true
    },
  }
}

const whyNotStored = (error: unknown): string => {
  if (isContentError(error)) return 'the database refused the contents of the manifest'
  if (isStorageUnavailable(error) || isCancelled(error)) return 'the manifest could not be stored in time'
  return `the manifest could not be stored: ${messageOf(error)}`
}

/**
 * All hosts under which events may have reported registries that can be read. Pull-through caches are left out: a cache would
 * fetch expired content from its upstream, and the configuration of an image that no client has pulled yet.
 */
const readableHosts = (registries: Registries): string[] => {
  const readable = registries.list().filter(({ url, cache }) => url !== undefined && cache !== true)
  const names = new Set(readable.map(({ name }) => name))
  const aliases = [...registries.aliases()].filter(([, name]) => names.has(name)).map(([alias]) => alias)
  return [...names, ...aliases]
}
