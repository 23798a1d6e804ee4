import type { ReconciliationReport } from '../inventory/reconcile/reports.js'
import type { NotChecked } from '../inventory/reconcile/cache.js'
import type { FilledKind } from '../inventory/reconcile/filled.js'
import { printLine, printTable, printTitle, type TableOptions } from './terminal/print.js'

const MOST_REPOSITORIES = 50

/** Shows the report of a run: the results, the differences of the inventory, and what to do about them. */
export const printReconciliation = (report: ReconciliationReport, options: TableOptions): void => {
  const { registry, repositories, tags, manifests, blobs, requests, unchecked, notChecked, catalogError } = report
  if (notChecked) printCache(report, notChecked)
  else
    printLine(
      `${registry}: ${repositories} repositories, ${tags} tags, ${manifests} manifests, ${blobs} blobs; ${requests} requests`,
    )
  if (catalogError !== undefined) {
    printLine(`only partly read: ${catalogError}. Repositories that are missing in the inventory were not searched`)
  }
  printDrift(report, options)
  printFilled(report)
  if (unchecked > 0) printTitle(`${unchecked} blobs were not checked, because they exceed the limit`)
  printFailures(report)
}

const printCache = ({ registry, repositories }: ReconciliationReport, notChecked: NotChecked): void => {
  const { repositories: listed, tags, manifests, blobs } = notChecked
  printLine(`${registry}: a pull-through cache; the inventory has ${repositories} of its repositories`)
  printLine(
    `not checked: ${tags} tags, ${manifests} manifests and ${blobs} blobs of ${listed} repositories: reading them ` +
      'from a cache would fetch expired ones from its upstream. Only repositories that the cache no longer lists are stale',
  )
}

const printDrift = (report: ReconciliationReport, options: TableOptions): void => {
  const { registry, applied, drift, drifted, differences } = report
  const all = drift.missing + drift.stale + drift.different
  if (all === 0) {
    printLine(`no drift${scopeOfNoDrift(report)}`)
    return
  }
  printLine()
  printTable(
    ['  repository', 'missing', 'stale', 'different'],
    [
      ...drifted
        .slice(0, MOST_REPOSITORIES)
        .map(({ repository, missing, stale, different }) => [`  ${repository}`, missing, stale, different]),
      ['  all', drift.missing, drift.stale, drift.different],
    ],
    options,
  )
  printTitle(differences.length < all ? `The first ${differences.length} of ${all} differences` : 'Differences')
  printTable(
    ['  repository', '', '', '', 'inventory', 'registry'],
    differences.map(({ repository, kind, object, name, inventory, registry: found }) => [
      `  ${repository}`,
      kind,
      object,
      name,
      inventory,
      found,
    ]),
    options,
  )
  printTitle(
    applied
      ? 'the inventory was repaired'
      : `no changes were made; to repair the inventory: tallyman inventory reconcile --registry ${registry} --apply`,
  )
}

const FILLED: Record<FilledKind, string> = {
  contents: 'contents of manifests',
  platforms: 'platforms (os, architecture) of images',
  subjects: 'subjects of manifests',
  sizes: 'sizes of blobs',
}

/** Shows the fields that were unknown and have a value now. They are no drift, because no known value was wrong. */
const printFilled = ({ registry, applied, filled }: ReconciliationReport): void => {
  const parts = Object.entries(FILLED).flatMap(([kind, what]) => {
    const count = filled[kind as FilledKind]
    return count > 0 ? [`${count} ${what}`] : []
  })
  if (parts.length === 0) return
  printTitle(
    applied
      ? `filled in, because they were unknown to the inventory: ${parts.join(', ')}`
      : `unknown to the inventory, and read now: ${parts.join(', ')}; to store them: ` +
          `tallyman inventory reconcile --registry ${registry} --reread --apply`,
  )
}

const scopeOfNoDrift = ({ catalogError, notChecked }: ReconciliationReport): string => {
  if (catalogError !== undefined) return notChecked ? '' : ' in the repositories of the inventory'
  return notChecked ? ': the cache lists every repository of the inventory' : ': the inventory matches the registry'
}

const printFailures = ({ failed, failures }: ReconciliationReport): void => {
  if (failed === 0) return
  printTitle(`${failed} repositories could not be read; all others were. Run the command again when the cause is fixed`)
  for (const { repository, error } of failures) printLine(`  ${repository}: ${error}`)
}
