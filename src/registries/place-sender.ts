import { createHash } from 'node:crypto'
import { UNKNOWN_REGISTRY, type Sender } from '../events/registry-event.js'
import { MOST_PROCESSES, type Learned } from './learned.js'

/** Which registry a sender is, and what there is to learn from it. */
export type Placement = {
  key: string
  /** The process is new, and belongs to the registry from now on. */
  learnsProcess?: boolean
  /** The host is new, and belongs to the registry from now on. */
  learnsHost?: boolean
  /** The key under which the process was known as long as it had not reported a host. */
  formerKey?: string
  /** The name of the registry that the host belongs to, if that is another one. */
  conflict?: string
}

/**
 * Decides which registry a sender is. The process decides: a new process joins the registry of the host that it reports, a new
 * host joins the registry of its process, and a known process stays with its registry whatever host a client wrote. Without a
 * process the host decides.
 *
 * A host is new if nothing was recorded under it: the learning transaction looks that up (learn-senders.ts).
 */
export const placeSender = (learned: Learned, sender: Sender): Placement => {
  const { host, instance } = sender
  if (instance === undefined) return { key: keyOfHost(learned, host) }
  const its = learned.processes.get(instance)
  if (its === undefined) return placeNewProcess(learned, { host, instance })
  if (host === undefined) return { key: its }
  // A process that has not reported a host yet joins the registry of its first one, as a new process does.
  if (isProvisional(its)) return { ...placeNewProcess(learned, { host, instance }), formerKey: its }
  const owner = learned.ownerOf(host)
  if (owner === undefined) return withHost(learned, its, host)
  const name = learned.nameOf(owner)
  if (name === learned.nameOf(its)) return { key: its }
  return canBecome(learned, { key: its, name, host }) ? withHost(learned, its, host) : { key: its, conflict: name }
}

/** Events without a host are of a registry of their own, which may have been joined to another as a host is. */
const keyOfHost = (learned: Learned, host: string = UNKNOWN_REGISTRY): string => learned.ownerOf(host) ?? host

const placeNewProcess = (
  learned: Learned,
  { host, instance }: { host: string | undefined; instance: string },
): Placement => {
  const hasRoom = learned.processes.has(instance) || learned.processes.size < MOST_PROCESSES
  if (!hasRoom) return { key: keyOfHost(learned, host) }
  if (host === undefined) return { key: provisionalKey(instance), learnsProcess: true }
  return { ...withHost(learned, keyOfHost(learned, host), host), learnsProcess: true }
}

const withHost = (learned: Learned, key: string, host: string): Placement =>
  !learned.hosts.has(host) && learned.hasRoomForHost(key) ? { key, learnsHost: true } : { key }

/**
 * Whether a registry that the operator has not named takes the name that the configuration gives to one of its hosts: as long as
 * no other registry has it. Otherwise a client could merge two registries with a header.
 */
const canBecome = (learned: Learned, { key, name, host }: { key: string; name: string; host: string }): boolean =>
  learned.isUnnamed(key) && !learned.hosts.has(host) && learned.hasRoomForHost(key) && !learned.exists(name)

/** No host contains it, so no client can name a registry so. */
const PROVISIONAL = `${UNKNOWN_REGISTRY}@`

/** The registry of a process that has not reported a host that can be read. */
const provisionalKey = (instance: string): string =>
  PROVISIONAL + createHash('sha256').update(instance).digest('hex').slice(0, 16)

const isProvisional = (key: string): boolean => key.startsWith(PROVISIONAL)
