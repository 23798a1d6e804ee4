import type { ReportedBy } from '../events/reported-item.js'
import type { Learned } from './learned.js'
import type { Learnings } from './learned-tables.js'
import { resolveSender, type ResolvedSender } from './resolve-sender.js'

/** Whether a sender has a new host or a new process. */
export const learnsSomething = ({ learnsHost, learnsProcess }: ResolvedSender): boolean =>
  learnsHost === true || learnsProcess === true

/** The hosts whose existing data decides whether they may join the registries of their processes. */
export const hostsToLookUp = (senders: readonly ReportedBy[]): string[] => [
  ...new Set(senders.flatMap(({ host }) => (host === undefined ? [] : [host]))),
]

/**
 * Learns the new hosts and processes of senders, in order.
 * @param recorded hosts with recorded data. Such a host is an existing registry, even if no process has reported it: it is
 * learned as a separate registry, and never joins another one automatically
 */
export const learnFrom = (
  learned: Learned,
  senders: readonly ReportedBy[],
  recorded: ReadonlySet<string>,
): Learnings => {
  const hosts = new Map<string, string>()
  const processes = new Map<string, string>()
  const addHost = (host: string, key: string): void => {
    learned.setHost(host, key)
    hosts.set(host, key)
  }
  for (const sender of senders) {
    const { host, instance } = sender
    const { key, learnsHost, learnsProcess, formerKey } = resolveSender(learned, sender)
    if (learnsHost === true && host !== undefined)
      addHost(host, recorded.has(host) ? (learned.ownerOf(host) ?? host) : key)
    if (learnsProcess === true && instance !== undefined) {
      learned.setProcess(instance, key)
      processes.set(instance, key)
    }
    // Data under the provisional name moves to the new registry, as from an alias.
    if (formerKey !== undefined) addHost(formerKey, key)
  }
  return { hosts, processes }
}
