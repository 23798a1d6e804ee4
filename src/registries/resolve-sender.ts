import { createHash } from 'node:crypto'
import { UNKNOWN_REGISTRY } from '../events/registry-event.js'
import type { ReportedBy } from '../events/reported-item.js'
import { MOST_PROCESSES, type Learned } from './learned.js'

/** The registry of a sender, and what is new about the sender. */
export type ResolvedSender = {
  key: string
  /** The process is new, and will belong to the registry. */
  learnsProcess?: boolean
  /** The host is new, and will belong to the registry. */
  learnsHost?: boolean
  /** The previous key of the process, from the time before it reported a host. */
  formerKey?: string
  /** The name of the registry of the host, if that is another registry. */
  conflict?: string
}

/**
 * Identifies the registry of a sender. The process decides. A new process joins the registry of the host that it reports. A new
 * host joins the registry of its process. A known process stays with its registry, whatever host a client sent. Without a process,
 * the host decides.
 *
 * A host is new if it has no recorded data, and is neither in the configuration nor the name of a token: the operator named a registry
 * there, which may not have been heard yet, and a client could merge it with another one by a header. The learning transaction checks
 * the data (learn-senders.ts).
 */
export const resolveSender = (learned: Learned, sender: ReportedBy): ResolvedSender => {
  const { host, instance } = sender
  if (instance === undefined) return { key: keyOfHost(learned, host) }
  const known = learned.processes.get(instance)
  if (known === undefined) return resolveNewProcess(learned, { host, instance })
  if (host === undefined) return { key: known }
  // A process that has not reported a host yet joins the registry of its first one, as a new process does.
  if (isProvisional(known)) return { ...resolveNewProcess(learned, { host, instance }), formerKey: known }
  const owner = learned.ownerOf(host)
  if (owner === undefined) return withHost(learned, known, host)
  const name = learned.nameOf(owner)
  return name === learned.nameOf(known) ? { key: known } : { key: known, conflict: name }
}

/** Events without a host belong to the registry `unknown`, which may have been joined to another registry, like a host. */
const keyOfHost = (learned: Learned, host: string = UNKNOWN_REGISTRY): string => learned.ownerOf(host) ?? host

const resolveNewProcess = (
  learned: Learned,
  { host, instance }: { host: string | undefined; instance: string },
): ResolvedSender => {
  const hasRoom = learned.processes.has(instance) || learned.processes.size < MOST_PROCESSES
  if (!hasRoom) return { key: keyOfHost(learned, host) }
  if (host === undefined) return { key: provisionalKey(instance), learnsProcess: true }
  return { ...withHost(learned, keyOfHost(learned, host), host), learnsProcess: true }
}

const withHost = (learned: Learned, key: string, host: string): ResolvedSender =>
  !learned.hosts.has(host) && learned.hasRoomForHost(key) ? { key, learnsHost: true } : { key }

/** No host contains this prefix, so no client can choose such a key. */
const PROVISIONAL = `${UNKNOWN_REGISTRY}@`

/** The registry of a process that has not reported a readable host yet. */
const provisionalKey = (instance: string): string =>
  PROVISIONAL + createHash('sha256').update(instance).digest('hex').slice(0, 16)

const isProvisional = (key: string): boolean => key.startsWith(PROVISIONAL)
