import { readStatus, type Status } from '../status.js'
import { context } from './command-context.js'
import { askOrOpen, configNow } from './open.js'
import { printJson, printLine, printTable, type TableOptions } from './print.js'

export const status = async ({ json, wide }: { json?: boolean; wide?: boolean }): Promise<void> => {
  const found = await askOrOpen<Status>(
    configNow(),
    async (service) => (await service.get('/status')) as Status,
    readStatus,
  )
  if (json) printJson(found)
  else show(found, { wide })
  if (Object.values(found.stores).some(({ ok }) => !ok)) context().exitCode = 1
}

const show = (found: Status, options: TableOptions): void => {
  const {
    version,
    uuid,
    stores,
    registries,
    skips,
    unresolvedUsers,
    refused,
    joins,
    unreadManifests,
    reconciliations,
    ping,
  } = found
  printLine(`Tallyman ${version}, installation ${uuid}`)
  for (const [name, { ok, version: of, error }] of Object.entries(stores)) {
    printLine(`  ${name} ${ok ? `${of ?? ''} answers` : (error ?? 'does not answer')}`)
  }
  printLine('\nRegistries, the last heard of first')
  if (registries.length === 0) {
    printLine('  none yet: no notification has come. Check the url and the token in the configuration of the registry')
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
  printLine('\nNot counted in the last 7 days')
  showCounts(skips, 'nothing')
  if (unresolvedUsers > 0) {
    printLine(`  ${unresolvedUsers} people wait for the user directory; they are counted when it answers`)
  }
  printLine('\nRequests refused in the last 7 days, by HTTP status')
  showCounts(refused, 'none')
  if ((refused['401'] ?? 0) > 0)
    printLine('  401 is a wrong token: compare the Authorization header of the registry with the notification tokens')
  printLine('\nRequests that joined a pull or check in the last 7 days')
  printLine(
    `  ${joins.joined}, of them ${shareOf(joins.joinedLate, joins.joined)} after more than half the join window`,
  )
  if (joins.joined >= ENOUGH_JOINS && joins.joinedLate > joins.joined / 10)
    printLine('  clients are slow here: with a longer pulls_join_window_seconds fewer pulls may be counted twice')
  printLine('\nManifests whose contents are not known')
  printLine(
    `  ${shownCount(unreadManifests.waiting)} wait to be read, ${shownCount(unreadManifests.givenUp)} were given up`,
  )
  if (unreadManifests.givenUp > 0)
    printLine('  to try those again, when the cause is gone: tallyman inventory retry-reads')
  printLine('\nInventory compared with registries')
  if (reconciliations.length === 0) printLine('  never: tallyman inventory reconcile does it')
  for (const one of reconciliations) printLine(`  ${one.registry}  ${comparison(one)}`)
  printLine('\nService Ping')
  printLine(`  next    ${ping.next ? when(ping.next) : 'never: ping_enabled is false'}`)
  printLine(`  last    ${ping.last ? `${when(ping.last.recordedAt)}, ${delivery(ping.last)}` : 'none yet'}`)
  if (!ping.destination) printLine('  sent    nowhere: TALLYMAN_PING_URL is not set')
}

/** Of fewer nothing is to be concluded. */
const ENOUGH_JOINS = 100

const shareOf = (part: number, all: number): string =>
  all === 0 ? '0' : `${part} (${((100 * part) / all).toFixed(1)} %)`

/** Counts end at 10,000. */
const shownCount = (count: number): string => (count < 10_000 ? String(count) : '10000 or more')

const comparison = ({ startedAt, finishedAt, applied, drift, failed }: Status['reconciliations'][number]): string => {
  const { missing, stale, different } = drift
  const found = `${missing} missing, ${stale} stale, ${different} different`
  const state = finishedAt === null ? 'not finished' : applied ? 'repaired' : 'not repaired'
  return `${when(startedAt)}, ${found}, ${state}${failed > 0 ? `, ${failed} repositories could not be read` : ''}`
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

const when = (time: Date | string): string => new Date(time).toISOString().replace('T', ' ').slice(0, 19) + ' UTC'
