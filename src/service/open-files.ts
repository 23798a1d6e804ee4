import { readFileSync } from 'node:fs'

/** Registries and operators have some tens of connections. */
const MOST_CONNECTIONS = 4_096
/** Files and connections of the stores: the embedded database opens up to 1,000 files. */
const FOR_STORES = 1_300

/**
 * How many files and connections this process may have open (`ulimit -n`; Node.js raises the soft limit to the hard one).
 * @returns `undefined` without a limit, or where it cannot be read: on systems other than Linux
 */
export const openFileLimit = (file = '/proc/self/limits'): number | undefined => {
  try {
    const [, limit] = /^Max open files +(\d+)/m.exec(readFileSync(file, 'utf8')) ?? []
    return limit === undefined ? undefined : Number(limit)
  } catch {
    return undefined
  }
}

/** How many connections the server may have open at once. With a limit from 1,733 on, this leaves the files that the stores need. */
export const mostConnections = (limit = openFileLimit()): number =>
  limit === undefined
    ? MOST_CONNECTIONS
    : Math.min(MOST_CONNECTIONS, Math.max(limit - FOR_STORES, Math.floor(limit / 4)))

export const openFileWarnings = (limit = openFileLimit()): string[] => {
  const most = mostConnections(limit)
  return most === MOST_CONNECTIONS
    ? []
    : [
        `this process may have only ${limit} open files, so that it accepts ${most} connections at once: allow ` +
          `${MOST_CONNECTIONS + FOR_STORES} or more (LimitNOFILE of systemd, --ulimit nofile of a container, ulimit -n)`,
      ]
}
