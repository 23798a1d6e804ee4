import { readStatus, type Status } from '../status.js'
import { askOrOpen, configNow } from './open.js'
import { printJson, printLine, printTable } from './print.js'

export const status = async ({ json }: { json?: boolean }): Promise<void> => {
  const found = await askOrOpen<Status>(
    configNow(),
    async (service) => (await service.get('/status')) as Status,
    readStatus,
  )
  if (json) printJson(found)
  else show(found)
  if (Object.values(found.stores).some(({ ok }) => !ok)) process.exitCode = 1
}

const show = ({ version, uuid, stores, registries, skips, unresolvedUsers, refused, ping }: Status): void => {
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
  printLine('\nService Ping')
  printLine(`  next    ${ping.next ? when(ping.next) : 'never: ping_enabled is false'}`)
  printLine(`  last    ${ping.last ? `${when(ping.last.recordedAt)}, ${delivery(ping.last)}` : 'none yet'}`)
  if (!ping.destination) printLine('  sent    nowhere: TALLYMAN_PING_URL is not set')
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
