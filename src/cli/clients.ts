import { loadDeclared } from '../service/core.js'
import { configNow } from './stores/open.js'
import { printJson, printTable } from './terminal/print.js'

/** Shows the client of each user agent. */
export const testClients = (agents: readonly string[], { json, wide }: { json?: boolean; wide?: boolean }): void => {
  const { clientOf } = loadDeclared(configNow())
  const clients = agents.map((agent) => clientOf(agent))
  if (json === true) {
    printJson(clients)
    return
  }
  printTable(
    ['client', 'version', 'kind', 'os', 'arch', 'kernel', 'upstream', 'host_os'],
    clients.map(({ client, version, kind, os, arch, kernel, upstream, upstream_version, host_os }) => [
      ...[client, version, kind, os, arch, kernel],
      upstream === undefined ? undefined : [upstream, upstream_version].filter(Boolean).join(' '),
      host_os,
    ]),
    { wide },
  )
}
