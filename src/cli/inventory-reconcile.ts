import type { Core } from '../service/core.js'
import type { ReconcileLine } from '../http/inventory-reconcile.js'
import { selectedRegistries } from '../inventory/reconcile/selected-registries.js'
import { reconcileEach } from '../inventory/reconcile/each-registry.js'
import { isRate, RATE_TEXT } from '../inventory/reconcile/rate.js'
import type { Progress } from '../inventory/reconcile/reconcile.js'
import { reconcileRegistry } from '../inventory/reconcile/reconcile-registry.js'
import type { ReconciliationReport } from '../inventory/reconcile/reports.js'
import type { Registry } from '../registries/registries.js'
import type { BlobChecks } from '../inventory/reconcile/read-repository.js'
import { printable } from '../runtime/printable.js'
import { context } from './command-context.js'
import { CommandError } from './terminal/failure.js'
import { askOrOpen, configNow } from './stores/open.js'
import { writeError } from './terminal/output.js'
import { printJson } from './terminal/print.js'
import { bar, progressLine } from './terminal/progress.js'
import { printReconciliation } from './print-reconciliation.js'
import type { ServiceClient } from './stores/service-client.js'
import { textLines } from './terminal/transfer-file.js'

/** The options of the command as text. */
export type ReconcileCommand = {
  registry?: string
  apply?: boolean
  force?: boolean
  restart?: boolean
  reread?: boolean
  rate?: string
  blobs: BlobChecks
  json?: boolean
  wide?: boolean
}

/** Characters: no line of the response is longer. */
const LONGEST_LINE = 64 * 1_048_576
const DRIFT_EXIT_CODE = 2
const SIGNALS = ['SIGINT', 'SIGTERM'] as const

/**
 * Compares the inventory with registries. The exit code is 2 if drift was not repaired, and 1 if something could not be read.
 */
export const reconcileInventory = async ({ json, wide, ...command }: ReconcileCommand): Promise<void> => {
  const rate = rateOf(command.rate)
  const progress = progressLine()
  const onProgress = (step: Progress): void => {
    if (step.notice !== undefined) writeError(printable(`${step.registry}: ${step.notice}`))
    progress.show(progressText(step))
  }
  const { reports, failure } = await askOrOpen(
    configNow(),
    async (service) => throughService(service, command, onProgress),
    async (core) => directly(core, { ...command, rate }, onProgress),
  ).finally(progress.end)
  if (failure !== undefined && reports.length === 0) throw failure
  if (json) printJson(reports)
  else for (const report of reports) printReconciliation(report, { wide })
  if (reports.some(({ failed, catalogError }) => failed > 0 || catalogError !== undefined)) context().exitCode = 1
  else if (reports.some(hasOpenDrift)) context().exitCode = DRIFT_EXIT_CODE
  if (failure !== undefined) throw failure
}

/** The reports of reconciled registries, and why some were not reconciled. */
type Reconciled = { reports: ReconciliationReport[]; failure?: Error }

const hasOpenDrift = ({ applied, drift }: ReconciliationReport): boolean =>
  !applied && drift.missing + drift.stale + drift.different > 0

const rateOf = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  const rate = Number(text)
  if (RATE_TEXT.test(text) && isRate(rate)) return rate
  throw new CommandError(`--rate: "${text}" is not a number of requests a second, expected 0.1 to 1000`)
}

const progressText = ({ registry, repository, done, of, requests, drift, pausedSeconds }: Progress): string =>
  pausedSeconds === undefined
    ? `${bar(done, of)}  ${registry}  ${done} of ${of} repositories, ${requests} requests, ${drift} differences  ${repository}`
    : `${bar(done, of)}  ${registry}  waiting ${pausedSeconds} s: the registry asks to slow down`

type Wanted = Omit<ReconcileCommand, 'rate' | 'json' | 'wide'> & { rate: number | undefined }

const directly = async (
  { stores: { database }, registries, clientFor, now }: Core,
  { registry: wanted, apply = false, force, restart, reread, rate, blobs: blobChecks }: Wanted,
  onProgress: (progress: Progress) => void,
): Promise<Reconciled> => {
  const stopping = new AbortController()
  const stop = (): void => {
    stopping.abort(new CommandError('stopped; the same command continues where it stopped'))
  }
  for (const signal of SIGNALS) process.once(signal, stop)
  const { signal } = stopping
  const reports: ReconciliationReport[] = []
  const reconcileOne = async (registry: Registry): Promise<void> => {
    const options = { apply, force, restart, reread, rate, blobChecks, onProgress, signal }
    const deps = { database, registries, now, client: clientFor(registry) }
    reports.push(await reconcileRegistry(deps, registry, options))
  }
  const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : 'failed')
  try {
    await reconcileEach(selectedRegistries(registries, wanted), reconcileOne, { signal, reasonOf })
    return { reports }
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return { reports, failure: error }
  } finally {
    for (const signal of SIGNALS) process.off(signal, stop)
  }
}

/** Runs in the service, and stops when this command stops. */
const throughService = async (
  service: ServiceClient,
  { blobs, ...command }: Omit<ReconcileCommand, 'json' | 'wide'>,
  onProgress: (progress: Progress) => void,
): Promise<Reconciled> => {
  const query = new URLSearchParams({ blobs })
  for (const [key, value] of Object.entries(command)) query.set(key, String(value))
  const reports: ReconciliationReport[] = []
  for await (const text of textLines(service.lines(`/inventory/reconcile?${query.toString()}`, 'POST'), LONGEST_LINE)) {
    const line = JSON.parse(text) as ReconcileLine
    if ('error' in line) return { reports, failure: new CommandError(`the service stopped: ${line.error.message}`) }
    if ('progress' in line) onProgress(line.progress)
    else reports.push(line.result)
  }
  return { reports }
}
