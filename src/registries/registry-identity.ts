import { sql } from 'kysely'
import { UNKNOWN_REGISTRY, type RegistryEvent } from '../events/registry-event.js'
import {
  isOfRegistry,
  type ReportedBy,
  type ReportedEvent,
  type ReportedItem,
  type ReportedRequest,
  type ResolvedItem,
} from '../events/reported-item.js'
import type { RegistryRequest } from '../events/registry-request.js'
import { scopeId } from '../events/scoped-id.js'
import { aliasesOfRegistry, type ConfiguredRegistries, type Registries } from './registries.js'
import type { Database } from '../storage/sql/database.js'
import { expireSenders } from './expire-senders.js'
import { createHeardSenders, type HeardSenders } from './heard-senders.js'
import { hostsToLookUp, learnFrom, learnsSomething } from './learn-senders.js'
import type { Learned } from './learned.js'
import { createLearnedCopy } from './learned-copy.js'
import { lockLearned, noteRemoval, recordedIn, type Learnings } from './learned-tables.js'
import { oneAtATime } from './one-at-a-time.js'
import { resolveSender } from './resolve-sender.js'

/** What identifies the registry of an event without a named token: the registry process, or only the host. */
type IdentityMode = 'host' | 'process'

/** The mode in force, and its reason. */
export type IdentityInForce = { mode: IdentityMode; because: 'setting' | 'new installation' | 'existing installation' }

/** Identifies the registry of a sender. */
export type RegistryIdentity = IdentityInForce & {
  /**
   * Sets the registry of each event: the registry of the notification token, else of the process, else of the host.
   * Synchronous if all senders are known; new senders are first learned in SQL.
   * @throws the error of the database; then no event may count as stored
   */
  resolve: (events: readonly ReportedItem[], named?: string) => ResolvedItem[] | Promise<ResolvedItem[]>
  /** The registries of the configuration, with what was learned about their hosts. */
  registries: Registries & { reload: () => void }
  /** Only the registries of the configuration. */
  configured: ConfiguredRegistries
  /** This process's copy of the learned hosts and processes. */
  learned: () => Learned
  /** Joins registries permanently, for all processes. @param decide returns what to store, given all learned hosts and processes */
  join: (decide: (current: Learned) => Learnings) => Promise<void>
  /** Applies the changes that other processes have stored. */
  refresh: () => Promise<void>
  /** Stores the times of senders, and conflicts. */
  flush: HeardSenders['flush']
  /**
   * Expires processes without an event for 90 days, and conflicts after 30 days. From full registries, it also removes hosts that
   * appeared only once, some days ago.
   */
  expire: () => Promise<void>
}

type IdentityDeps = {
  database: Database
  configured: ConfiguredRegistries
  /** The setting; without it, installations with data from before the setting existed keep the mode `host`. */
  setting?: IdentityMode | undefined
  now: () => Date
}

/** Reads learned hosts and processes, and decides the mode. */
export const createRegistryIdentity = async ({
  database,
  configured,
  setting,
  now,
}: IdentityDeps): Promise<RegistryIdentity> => {
  const identity = await identityIn(database, setting)
  const senders = createHeardSenders(database, now)
  const copy = createLearnedCopy({ database, configured, now })
  const learn = async (senders: readonly ReportedBy[]): Promise<void> => {
    const unknown = senders.filter(isNew)
    if (unknown.length === 0) return
    await copy.change(
      async (current, tx) => learnFrom(current, unknown, await recordedIn(tx, hostsToLookUp(unknown))),
      { isPermanent: false },
    )
  }
  const learnTogether = oneAtATime(learn)
  const isNew = (sender: ReportedBy): boolean => learnsSomething(resolveSender(copy.current(), sender))

  const assign = (events: readonly ReportedItem[]): ResolvedItem[] => {
    const place = rememberingLast((sender) => {
      senders.heard(sender)
      const learned = copy.current()
      const { key, conflict } = resolveSender(learned, sender)
      return { registry: learned.nameOf(key), conflict }
    })
    for (const event of events) {
      if (!isOfRegistry(event)) {
        placeSetAside(event, (sender) => copy.current().nameOf(resolveSender(copy.current(), sender).key))
        continue
      }
      const { registry, conflict } = place(event)
      const resolved = event as RegistryEvent | RegistryRequest
      resolved.registry = registry
      if (conflict !== undefined) senders.inConflict({ registry, other: conflict, host: event.host ?? '' })
    }
    return events as ResolvedItem[]
  }

  /**
   * Learns the senders of events first, also in the mode `host`. So when the setting changes to `process`, the hosts of one process
   * are one registry. Registries that send no events at that moment are already known.
   */
  const afterLearning = (
    events: readonly ReportedItem[],
    assignAll: (events: readonly ReportedItem[]) => ResolvedItem[],
  ): ResolvedItem[] | Promise<ResolvedItem[]> => {
    const isNewSender = rememberingLast(isNew)
    const unknown = events.filter(
      (event): event is ReportedEvent | ReportedRequest => isOfRegistry(event) && isNewSender(event),
    )
    return unknown.length === 0 ? assignAll(events) : learnTogether(unknown).then(() => assignAll(events))
  }
  const assignByHost = (events: readonly ReportedItem[]): ResolvedItem[] => {
    const hear = rememberingLast(senders.heard)
    for (const event of events) if (isOfRegistry(event)) hear(event)
    return resolveByHost(events, configured.nameOf)
  }

  const nameOf =
    identity.mode === 'host'
      ? configured.nameOf
      : (host: string) => copy.current().nameOf(copy.current().ownerOf(host) ?? host)

  return {
    ...identity,
    resolve: (events, named) => {
      if (named !== undefined) {
        const registry = configured.nameOf(named)
        for (const event of events) scopeId(event, registry, () => aliasesOfRegistry(configured, registry))
        return withRegistry(events, () => registry)
      }
      const resolveAll = (): ResolvedItem[] | Promise<ResolvedItem[]> =>
        afterLearning(events, identity.mode === 'host' ? assignByHost : assign)
      return copy.isUnread() ? copy.readAll().then(resolveAll) : resolveAll()
    },
    registries: {
      nameOf,
      list: configured.list,
      aliases: () => (identity.mode === 'host' ? configured.aliases() : aliasesOf(copy.current(), configured)),
      reload: () => {
        configured.reload()
        copy.rename()
      },
    },
    configured,
    learned: copy.current,
    join: async (decide) => copy.change(decide, { isPermanent: true }),
    refresh: copy.refresh,
    flush: senders.flush,
    expire: async () => {
      await copy.refresh()
      await database.transaction(async (tx) => {
        await lockLearned(tx)
        if (await expireSenders(tx, { learned: copy.current(), configured, now: now() })) await noteRemoval(tx)
      })
      await copy.refresh()
    },
  }
}

/** Gives each event the registry of its host alone. */
export const resolveByHost = (events: readonly ReportedItem[], nameOf: (host: string) => string): ResolvedItem[] =>
  withRegistry(events, ({ host }) => nameOf(host ?? UNKNOWN_REGISTRY))

/** Events are fresh from the parser, so the missing field is set on the event itself instead of on a copy. */
const withRegistry = (events: readonly ReportedItem[], registryOf: (sender: ReportedBy) => string): ResolvedItem[] => {
  for (const event of events) {
    if (!isOfRegistry(event)) {
      placeSetAside(event, registryOf)
      continue
    }
    const resolved = event as RegistryEvent | RegistryRequest
    resolved.registry = registryOf(event)
  }
  return events as ResolvedItem[]
}

/** Identifies the registry of a set-aside event as of any event, but learns nothing from its sender. */
const placeSetAside = (
  event: Exclude<ReportedItem, ReportedEvent | ReportedRequest>,
  registryOf: (sender: ReportedBy) => string,
): void => {
  if ('unreadable' in event && event.about) event.about.registry = registryOf(event.about)
}

/** All names with possible data that are not the name of their registry, with the name of the registry. */
const aliasesOf = (learned: Learned, configured: ConfiguredRegistries): ReadonlyMap<string, string> => {
  const aliases = new Map(configured.aliases())
  const add = (host: string, name: string): void => {
    if (host !== name) aliases.set(host, name)
  }
  for (const [host, key] of learned.hosts) add(host, configured.configuredName(host) ?? learned.nameOf(key))
  for (const key of learned.keys()) add(key, learned.nameOf(key))
  return aliases
}

/** Caches the result for the last sender: most envelopes have only one. */
const rememberingLast = <T>(answer: (sender: ReportedBy) => T): ((sender: ReportedBy) => T) => {
  let last: { sender: ReportedBy; answer: T } | undefined
  return (sender) => {
    if (last && last.sender.host === sender.host && last.sender.instance === sender.instance) return last.answer
    last = { sender, answer: answer(sender) }
    return last.answer
  }
}

const identityIn = async ({ sql: db }: Database, setting: IdentityMode | undefined): Promise<IdentityInForce> => {
  if (setting !== undefined) return { mode: setting, because: 'setting' }
  const { rows } = await sql<{ had_data: boolean }>`select had_data from registry_identity`.execute(db)
  return rows[0]?.had_data === true
    ? { mode: 'host', because: 'existing installation' }
    : { mode: 'process', because: 'new installation' }
}
