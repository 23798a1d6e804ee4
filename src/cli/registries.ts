import type { Core } from '../service/core.js'
import { joinRegistries, type JoinReport } from '../registries/join-registries.js'
import { listRegistries, type IdentifiedBy, type RegistrySummary } from '../registries/list-registries.js'
import { askOrOpen, configNow } from './stores/open.js'
import { printJson, printLine, printTable } from './terminal/print.js'
import { when } from './terminal/when.js'

const registriesDeps = ({ stores, identity, tokenNames }: Core): Parameters<typeof listRegistries>[0] => ({
  database: stores.database,
  identity,
  tokenNames,
})

const IDENTIFIED_BY: Record<IdentifiedBy, string> = {
  token: 'its token',
  process: 'its processes',
  configuration: 'its hosts in the configuration',
  host: 'its host',
}
const HOSTS_SHOWN = 3

/** Lists the registries. */
export const list = async ({ json, wide }: { json?: boolean; wide?: boolean }): Promise<void> => {
  const { registries } = await askOrOpen(
    configNow(),
    async (service) => (await service.get('/registries')) as { registries: RegistrySummary[] },
    async (core) => ({ registries: await listRegistries(registriesDeps(core)) }),
  )
  if (json) {
    printJson({ registries })
    return
  }
  if (registries.length === 0) {
    printLine('no registries yet: no notification has arrived, and the configuration names no registry')
    return
  }
  printTable(
    ['registry', 'hosts', 'processes', 'events', 'last received', 'identified by'],
    registries.map(({ name, hosts, hostCount, processes, events, lastHeardAt, identifiedBy }) => [
      name,
      hostCount > HOSTS_SHOWN
        ? `${hosts.slice(0, HOSTS_SHOWN).join(', ')} and ${hostCount - HOSTS_SHOWN} more`
        : hosts.join(', '),
      processes,
      events,
      lastHeardAt === null ? 'never' : when(lastHeardAt),
      IDENTIFIED_BY[identifiedBy],
    ]),
    { wide },
  )
}

type JoinCommand = { from: string; into: string; dryRun?: boolean; json?: boolean }

/** Joins two registries. */
export const join = async ({ from, into, dryRun = false, json }: JoinCommand): Promise<void> => {
  const report = await askOrOpen(
    configNow(),
    async (service) => (await service.post('/registries/join', { from, into, dry_run: dryRun })) as JoinReport,
    async (core) => joinRegistries(registriesDeps(core), { from, into, dryRun }),
  )
  if (json) printJson(report)
  else for (const sentence of sentences(report)) printLine(sentence)
}

const sentences = ({ from, into, dryRun, hosts, processes, repositories, inBoth }: JoinReport): string[] => [
  `${from} ${dryRun ? 'would become' : 'is'} an alias of ${into}: ${hosts.length} hosts (${hosts.slice(0, 10).join(', ')}${hosts.length > 10 ? ', …' : ''}) and ${processes} processes`,
  `${repositories} repositories ${dryRun ? 'would move' : 'move'}, ${inBoth} of them into one that ${into} has as well`,
  dryRun
    ? 'no changes were made; a join cannot be undone'
    : 'a running service moves the recorded data within about 10 s; years of pulls take longer',
]
