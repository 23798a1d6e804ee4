import type { Config } from '../config/config.js'
import { WEBHOOKS } from '../http/notification-paths.js'
import { readStatus, type Status } from '../service/status.js'
import { context } from './command-context.js'
import { askOrOpenQuietly, clock, configNow } from './stores/open.js'
import { printJson, printLine, printTable, printTitle, type TableOptions } from './terminal/print.js'
import { when } from './terminal/when.js'

export const status = async ({ json, wide }: { json?: boolean; wide?: boolean }): Promise<void> => {
  const config = configNow()
  // The report has the warnings about stores.
  const found = await askOrOpenQuietly<Status>(
    config,
    async (service) => (await service.get('/status')) as Status,
    readStatus,
  )
  if (json) printJson(found)
  else show(found, config, { wide })
  if (!found.service.isRunning || found.writes?.ok === false || Object.values(found.stores).some(({ ok }) => !ok))
    context().exitCode = 1
}

/** Where a store is, as the report names it. */
const addressOf = (name: string, { database_url, data_dir }: Config): string => {
  if (name === 'redis') return 'REDIS_URL'
  return database_url === undefined ? `the embedded database in ${data_dir}` : 'the server of DATABASE_URL'
}

const noService = ({ lastSignSecondsAgo }: Status['service'], { database_url, data_dir }: Config): string => {
  if (database_url === undefined) return `no service runs in ${data_dir}`
  const last = lastSignSecondsAgo === undefined ? 'none in the last day' : `${spanOf(lastSignSecondsAgo)} ago`
  return `no service runs on the server of DATABASE_URL; the newest heartbeat of a service: ${last}`
}

const show = (found: Status, config: Config, options: TableOptions): void => {
  const {
    version,
    uuid,
    stores,
    writes,
    warnings,
    registries,
    identity,
    skips,
    unreadableFields,
    eventsWithoutUser,
    unresolvedUsers,
    refused,
    joins,
    unreadManifests,
    unknownContents,
    reconciliations,
    ping,
    dumps,
  } = found
  if (!found.service.isRunning) printLine(noService(found.service, config))
  printLine(`Tallyman ${version}, installation ${uuid}`)
  for (const [name, { ok, version: of, error }] of Object.entries(stores)) {
    printLine(`  ${name} ${ok ? `${of ?? ''} answers` : (error ?? 'does not answer')} (${addressOf(name, config)})`)
  }
  if (writes?.ok === false) printLine(`  writes fail: ${writes.reason}`)
  for (const warning of warnings) printLine(`  warning: ${warning}`)
  printTitle('Registries, the most recent first')
  if (registries.length === 0) {
    printLine(
      '  none yet: no notification has arrived. If the registry has sent one, check the url and the token in its configuration',
    )
  } else {
    printTable(
      ['  registry', 'events', 'last received', 'last event'],
      registries.map(({ registry, events, lastReceivedAt, lastEventAt }) => [
        `  ${registry}`,
        events,
        when(lastReceivedAt),
        when(lastEventAt),
      ]),
      options,
    )
  }
  showIdentity(identity)
  printTitle('Not counted in the last 7 days')
  showCounts(skips, 'none')
  if (eventsWithoutUser > 0) {
    printLine(`  ${eventsWithoutUser} events count in totals and for no user: the registry did not report who it was.`)
    printLine('    Only a registry with a login reports users (docs/operations.md, "Who is counted")')
  }
  if (unresolvedUsers > 0) {
    printLine(`  ${unresolvedUsers} people are unresolved; they are counted when the user directory answers`)
  }
  if (Object.keys(unreadableFields).length > 0) {
    printTitle('Unreadable fields of events that were counted, in the last 7 days')
    showCounts(unreadableFields, 'none')
  }
  printTitle('Requests refused in the last 7 days, by HTTP status')
  showCounts(refused, 'none')
  if ((refused['401'] ?? 0) > 0)
    printLine('  401 is a wrong token: compare the Authorization header of the registry with the notification tokens')
  if ((refused['404'] ?? 0) > 0) printLine(`  404 is a wrong path: registries send notifications to ${WEBHOOKS}`)
  printTitle('Requests that joined a pull or check in the last 7 days')
  printLine(
    `  ${joins.joined}, of them ${shareOf(joins.joinedLate, joins.joined)} after more than half the join window`,
  )
  if (joins.joined >= ENOUGH_JOINS && joins.joinedLate > joins.joined / 10)
    printLine('  clients are slow here: with a longer pulls_join_window_seconds fewer pulls may be counted twice')
  printTitle('Manifests whose contents are not known')
  printLine(
    `  ${shownCount(unreadManifests.waiting)} are queued to be read, ${shownCount(unreadManifests.givenUp)} were given up`,
  )
  if (unreadManifests.givenUp > 0)
    printLine('  to retry these after the cause is fixed: tallyman inventory retry-reads')
  for (const { registry, note } of unknownContents) printLine(`  ${registry}  ${note}`)
  if (unknownContents.some(({ isRead }) => !isRead)) for (const line of REFERENCES) printLine(`    ${line}`)
  printTitle('Inventory compared with registries')
  if (reconciliations.length === 0) printLine('  never: tallyman inventory reconcile does it')
  for (const one of reconciliations) printLine(`  ${one.registry}  ${comparison(one)}`)
  printTitle('Service Ping')
  printLine(`  next    ${ping.next ? when(ping.next) : 'never: ping_enabled is false'}`)
  printLine(`  last    ${ping.last ? `${when(ping.last.recordedAt)}, ${delivery(ping.last)}` : 'none yet'}`)
  if (!ping.destination) printLine('  sent    never: TALLYMAN_PING_URL is not set')
  if (dumps) showDumps(dumps)
}

const showDumps = ({ lastAt, failedAt, error }: NonNullable<Status['dumps']>): void => {
  printTitle('Dumps of the embedded database')
  printLine(`  last    ${lastAt === null ? 'none yet' : `${when(lastAt)}, ${ageOf(lastAt)} old`}`)
  if (failedAt !== null) printLine(`  failed  ${when(failedAt)}: ${error ?? ''}`)
}

const spanOf = (seconds: number): string =>
  seconds < 7_200 ? `${Math.floor(seconds / 60)} minutes` : `${Math.floor(seconds / 3_600)} hours`

const HOUR_MS = 3_600_000
const ageOf = (at: Date | string): string => {
  const hours = Math.max(0, Math.floor((clock().getTime() - new Date(at).getTime()) / HOUR_MS))
  return hours < 48 ? `${hours} hours` : `${Math.floor(hours / 24)} days`
}

const REASONS: Record<Status['identity']['because'], string> = {
  setting: 'registry_identity in the configuration',
  'new installation': 'the default',
  'existing installation': 'this installation is older than the setting; registry_identity: process changes it',
}

const showIdentity = ({ mode, because, conflicts, full, advice }: Status['identity']): void => {
  printTitle('How the registry of an event is identified')
  printLine(`  by the token's name, else by the ${mode} (${REASONS[because]})`)
  for (const { registry, other, host, events, lastAt, remedy } of conflicts.slice(0, CONFLICTS_SHOWN)) {
    printLine(
      `  conflict: ${registry} reported ${host}, a host of ${other}; ${events} events, the last ${when(lastAt)}`,
    )
    printLine(`    if both are one registry: ${remedy}`)
  }
  if (conflicts.length > CONFLICTS_SHOWN) printLine(`  and ${conflicts.length - CONFLICTS_SHOWN} more conflicts`)
  for (const what of full)
    printLine(`  the limit of learned ${what} is reached, so no more are learned; their events still count`)
  if (advice !== undefined) printLine(`  ${advice}`)
}

const CONFLICTS_SHOWN = 10
/** The setting that makes a registry send the contents of manifests with their notifications. */
const REFERENCES = ['notifications:', '  events:', '    includereferences: true']

/** The smallest number of joins from which a conclusion is drawn. */
const ENOUGH_JOINS = 100

const shareOf = (part: number, all: number): string =>
  all === 0 ? '0' : `${part} (${((100 * part) / all).toFixed(1)} %)`

/** The status counts at most 10,000. */
const shownCount = (count: number): string => (count < 10_000 ? String(count) : '10000 or more')

const comparison = (one: Status['reconciliations'][number]): string => {
  const { startedAt, finishedAt, applied, drift, failed, catalogError, stoppedBecause } = one
  const { missing, stale, different } = drift
  const found = `${missing} missing, ${stale} stale, ${different} different`
  const state =
    finishedAt === null
      ? `not finished${stoppedBecause === undefined ? '' : ` (${stoppedBecause})`}`
      : applied
        ? 'repaired'
        : 'not repaired'
  const unread = failed > 0 ? `, ${failed} repositories could not be read` : ''
  return `${when(startedAt)}, ${found}, ${state}${unread}${catalogError === undefined ? '' : ', the catalog could not be read to its end'}`
}

const delivery = ({ sentAt, attempts, lastError }: NonNullable<Status['ping']['last']>): string =>
  sentAt
    ? `sent ${when(sentAt)}`
    : lastError === null
      ? 'not sent'
      : `not sent after ${attempts} attempts: ${lastError}`

const showCounts = (counts: Record<string, number>, none: string): void => {
  const rows = Object.entries(counts)
  if (rows.length === 0) printLine(`  ${none}`)
  for (const [name, count] of rows) printLine(`  ${name} ${count}`)
}
