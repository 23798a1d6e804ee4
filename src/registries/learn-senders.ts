import type { Sender } from '../events/registry-event.js'
import type { Learned } from './learned.js'
import type { Learnings } from './learned-tables.js'
import { placeSender, type Placement } from './place-sender.js'

/** Whether a sender teaches a host or a process. */
export const learnsSomething = ({ learnsHost, learnsProcess }: Placement): boolean =>
  learnsHost === true || learnsProcess === true

/** The names under which data may exist that senders would take into the registry of their process. */
export const namesToLookUp = (learned: Learned, senders: readonly Sender[]): string[] => [
  ...new Set(senders.flatMap(({ host }) => (host === undefined ? [] : [host, learned.ownerOf(host) ?? host]))),
]

/**
 * Applies what senders teach, in their order.
 * @param recorded names under which something was recorded. Such a host is a registry that exists, although no process of it was
 *   heard: it is learned as a registry of its own, and never joins another by itself.
 */
export const learnFrom = (learned: Learned, senders: readonly Sender[], recorded: ReadonlySet<string>): Learnings => {
  const hosts = new Map<string, string>()
  const processes = new Map<string, string>()
  const addHost = (host: string, key: string): void => {
    learned.setHost(host, key)
    hosts.set(host, key)
  }
  for (const sender of senders) {
    const { host, instance } = sender
    const { key, learnsHost, learnsProcess, formerKey } = placeSender(learned, sender)
    if (learnsHost === true && host !== undefined) {
      const own = learned.ownerOf(host) ?? host
      addHost(host, recorded.has(host) || recorded.has(own) ? own : key)
    }
    if (learnsProcess === true && instance !== undefined) {
      learned.setProcess(instance, key)
      processes.set(instance, key)
    }
    // What was recorded under the provisional name goes along, as from an alias.
    if (formerKey !== undefined) addHost(formerKey, key)
  }
  return { hosts, processes }
}
