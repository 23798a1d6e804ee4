import type { ConfiguredRegistries } from './registries.js'

export type Configured = Pick<ConfiguredRegistries, 'configuredName'>

/** The largest numbers of learned hosts, of hosts of one registry, and of processes: hostile senders must not fill the tables. */
export const MOST_HOSTS = 10_000
export const MOST_HOSTS_OF_REGISTRY = 1_000
export const MOST_PROCESSES = 10_000

/**
 * Learned hosts and processes of registries: a copy of the tables registry_hosts and registry_processes, with configured names applied.
 * A registry is learned under a *key*, usually its first host. Its *name* is the key, or the name that the configuration gives it.
 */
export type Learned = {
  readonly hosts: ReadonlyMap<string, string>
  readonly processes: ReadonlyMap<string, string>
  setHost: (host: string, key: string) => void
  setProcess: (instance: string, key: string) => void
  /** The registry of a host: its configured name, else its learned key. */
  ownerOf: (host: string) => string | undefined
  /** The name of the registry with a key. */
  nameOf: (key: string) => string
  /** Whether a registry with this name has a learned host or process. */
  exists: (name: string) => boolean
  hasRoomForHost: (key: string) => boolean
  /** The names of registries that have reached the limit of hosts. */
  fullRegistries: () => string[]
  keys: () => Iterable<string>
  /** A copy with added or changed hosts and processes, and with the current configuration applied. */
  with: (changed: Pick<Learned, 'hosts' | 'processes'>) => Learned
}

/** The numbers and configured names of one registry. */
type LearnedRegistry = {
  hosts: number
  processes: number
  /** The configured names of its hosts, and the number of hosts with each name. */
  configured: Map<string, number>
}

export const createLearned = (configured: Configured): Learned => {
  const hosts = new Map<string, string>()
  const processes = new Map<string, string>()
  const registries = new Map<string, LearnedRegistry>()
  let names: ReadonlySet<string> | undefined

  const knownOf = (key: string): LearnedRegistry => {
    let known = registries.get(key)
    if (!known) registries.set(key, (known = { hosts: 0, processes: 0, configured: new Map() }))
    return known
  }
  const count = (key: string, what: 'hosts' | 'processes', change: 1 | -1): void => {
    names = undefined
    const known = knownOf(key)
    known[what] += change
    if (known.hosts + known.processes === 0) registries.delete(key)
  }
  const countName = (host: string, key: string, change: 1 | -1): void => {
    const name = configured.configuredName(host)
    if (name === undefined) return
    const { configured: given } = knownOf(key)
    given.set(name, (given.get(name) ?? 0) + change)
    if (given.get(name) === 0) given.delete(name)
  }
  const setHost = (host: string, key: string): void => {
    const previous = hosts.get(host)
    if (previous === key) return
    if (previous !== undefined) {
      countName(host, previous, -1)
      count(previous, 'hosts', -1)
    }
    hosts.set(host, key)
    count(key, 'hosts', 1)
    countName(host, key, 1)
  }
  const setProcess = (instance: string, key: string): void => {
    const previous = processes.get(instance)
    if (previous === key) return
    if (previous !== undefined) count(previous, 'processes', -1)
    processes.set(instance, key)
    count(key, 'processes', 1)
  }
  const nameOf = (key: string): string => {
    const own = configured.configuredName(key)
    if (own !== undefined) return own
    const given = registries.get(key)?.configured
    // If the configuration gives different names to the hosts of one registry, the name is the key.
    const [name = key] = given?.size === 1 ? given.keys() : []
    return name
  }

  const learned: Learned = {
    hosts,
    processes,
    setHost,
    setProcess,
    ownerOf: (host) => configured.configuredName(host) ?? hosts.get(host) ?? (registries.has(host) ? host : undefined),
    nameOf,
    exists: (name) => (names ??= new Set([...registries.keys()].map(nameOf))).has(name),
    hasRoomForHost: (key) => hosts.size < MOST_HOSTS && (registries.get(key)?.hosts ?? 0) < MOST_HOSTS_OF_REGISTRY,
    fullRegistries: () =>
      [...registries].filter(([, { hosts: count }]) => count >= MOST_HOSTS_OF_REGISTRY).map(([key]) => nameOf(key)),
    keys: () => registries.keys(),
    with: (changed) => {
      const other = createLearned(configured)
      for (const from of [learned, changed]) {
        for (const [host, key] of from.hosts) other.setHost(host, key)
        for (const [instance, key] of from.processes) other.setProcess(instance, key)
      }
      return other
    },
  }
  return learned
}
