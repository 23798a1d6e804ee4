import type { Sender } from '../events/registry-event.js'
import type { Learned } from './learned.js'
import type { Learnings } from './learned-tables.js'
import { placeSender, type Placement } from './place-sender.js'

/** Whether a sender teaches a host or a process. */
export const learnsSomething = ({ learnsHost, learnsProcess }: Placement): boolean =>
  learnsHost === true || learnsProcess === true

/** Applies what senders teach, in their order. */
export const learnFrom = (learned: Learned, senders: readonly Sender[]): Learnings => {
  const hosts = new Map<string, string>()
  const processes = new Map<string, string>()
  const addHost = (host: string, key: string): void => {
    learned.setHost(host, key)
    hosts.set(host, key)
  }
  for (const sender of senders) {
    const { key, learnsHost, learnsProcess, formerKey } = placeSender(learned, sender)
    if (learnsHost === true && sender.host !== undefined) addHost(sender.host, key)
    if (learnsProcess === true && sender.instance !== undefined) {
      learned.setProcess(sender.instance, key)
      processes.set(sender.instance, key)
    }
    // What was recorded under the provisional name goes along, as from an alias.
    if (formerKey !== undefined) addHost(formerKey, key)
  }
  return { hosts, processes }
}
