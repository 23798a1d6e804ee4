import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import type { Config } from '../config/config.js'
import { KEY_PREFIX } from '../counters/keys.js'
import { loadRules, type Rules } from '../counters/rules.js'
import { createDefinitionReader } from '../definitions/definition-file.js'
import { createDockerCredentials } from '../registries/client/docker-config.js'
import { createRegistryClient } from '../registries/client/http-registry-client.js'
import { ownReadAgent, userAgentOf } from '../registries/own-reads.js'
import { createRegistries, type Registry } from '../registries/registries.js'
import type { RegistryClient } from '../registries/client/registry-client.js'
import { keptSchedule, type Schedule } from '../runtime/jobs.js'
import { loadMetrics, type LoadedMetric } from '../metrics/definition.js'
import { QUERIES } from '../metrics/queries.js'
import { pingCron } from '../ping/schedule.js'
import { PING, type ServicePings } from '../ping/service-ping.js'
import { loadClients, type ClientOf } from '../requesters/client.js'
import { MEASURE_NAMES } from '../pulls/model/measures.js'
import { createRegistryIdentity, type RegistryIdentity } from '../registries/registry-identity.js'
import { createRegistryNames, type RegistryNames } from '../registries/registry-names.js'
import { fingerprintOf, loadSecrets, removeMade, USERS_KEY_FILE, type Secrets } from '../config/secrets.js'
import { bindSketches, checkSketches } from '../schema/bound-sketches.js'
import { installationIn, type Installation } from '../schema/installation.js'
import { raiseSequences } from '../schema/raise-sequences.js'
import { createKeyClaim, OtherUsersKey } from '../schema/users-key.js'
import { version } from '../home.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import { createPings, SETTING_VALUES, SYSTEM_VALUES } from './pings.js'
import { openStores, type Stores } from './stores.js'

/** The contents of definitions/ and metrics/. */
export type Declared = { rules: Rules; metrics: LoadedMetric[]; clientOf: ClientOf }

/** The parts that the service and the commands share. */
export type Core = Declared & {
  config: Config
  secrets: Secrets
  stores: Stores
  installation: Installation
  fingerprint: string
  /**
   * Binds the database to the users key before this process counts a user.
   * @returns undefined if the database is already bound
   */
  claimUsersKey: ReturnType<typeof createKeyClaim>
  hostname: string
  /** Identifies the registry of a sender. */
  identity: RegistryIdentity
  /** The names of registries in notification tokens. */
  tokenNames: readonly string[]
  /** The registries of the configuration, and what was learned about their hosts. */
  registries: RegistryIdentity['registries']
  /** Resolves the registries in queries and requests. */
  registryNames: RegistryNames
  /** Returns the client of a registry. */
  clientFor: (registry: Registry) => RegistryClient
  pings: ServicePings
  /** The schedule of Service Pings, unless the configuration disables them. */
  pingSchedule: Schedule
  /** This process, for leases. */
  holder: string
  now: () => Date
  /** Cancels all waiting of pings, because the process stops. */
  giveUpPings: () => void
}

/** Reads and checks all declarations. @throws DefinitionError */
export const loadDeclared = (config: Config): Declared => {
  const read = createDefinitionReader(config.schema_dir)
  const rules = loadRules(config.rules_file, read)
  const events = [...rules.events.values()]
  const metrics = loadMetrics(config.metrics_dir, read, {
    uniqueEvents: new Set(events.filter(({ unique }) => unique).map(({ name }) => name)),
    totalEvents: new Set(events.filter(({ aggregations }) => aggregations.includes('total')).map(({ name }) => name)),
    queries: new Map(Object.entries(QUERIES).map(([name, { timeFrames }]) => [name, timeFrames])),
    measures: new Set<string>(MEASURE_NAMES),
    systemValues: new Map(Object.entries(SYSTEM_VALUES)),
    settingValues: new Map(Object.entries(SETTING_VALUES)),
  })
  return { rules, metrics, clientOf: loadClients(config.clients_files, read) }
}

/**
 * Opens the stores and creates the parts that use them.
 * @param role `isService`: whether this process is the service, which alone reports its uptime in a ping; `canEndStatements`: whether
 * another thread can end a statement of the embedded database
 */
export const createCore = async (
  config: Config,
  now: () => Date,
  { isService = false, canEndStatements = false }: { isService?: boolean; canEndStatements?: boolean } = {},
): Promise<Core> => {
  const declared = loadDeclared(config)
  const secrets = loadSecrets({
    dataDir: config.data_dir,
    notificationTokens: config.notification_tokens,
    apiTokens: config.api_tokens,
    usersKey: config.users_key,
  })
  const fingerprint = fingerprintOf(secrets.usersKey)
  const stores = await openStores(config, now, canEndStatements)
  try {
    const hasSketches = async (): Promise<boolean> => hasCounters(stores.sketches)
    const renewal = secrets.made.includes(USERS_KEY_FILE) ? undefined : hasSketches
    const installation = await installationIn(stores.database, fingerprint, now(), renewal).catch((error: unknown) => {
      // A process that was started in the wrong directory must leave no files there.
      if (error instanceof OtherUsersKey) removeMade(config.data_dir, secrets)
      throw error
    })
    if (isService) {
      await raiseSequences(stores.database.sql)
      await bindSketches(stores, installation.uuid, now())
    } else await checkUnlessAway(stores, installation)
    const host = config.hostname ?? hostname()
    const stopping = new AbortController()
    const giveUpPings = (): void => {
      stopping.abort()
    }
    const { metrics } = declared
    const holder = randomUUID()
    const pingSchedule = { cron: config.ping_cron ?? pingCron(installation.uuid), timeZone: config.ping_time_zone }
    const pings = createPings({
      config,
      stores,
      installation,
      host,
      isService,
      metrics,
      now,
      stopping: stopping.signal,
      holder,
      schedule: keptSchedule(PING, pingSchedule),
    })
    const tokenNames = secrets.notificationTokens.flatMap(({ registry }) => registry ?? [])
    const identity = await createRegistryIdentity({
      database: stores.database,
      configured: createRegistries(config.readRegistries, tokenNames),
      setting: config.registry_identity,
      now,
    })
    await identity.refresh()
    const { registries } = identity
    const registryNames = createRegistryNames({ database: stores.database, identity })
    const clientFor = createClients(config, secrets, now)
    const names = { identity, tokenNames, registries, registryNames }
    const claimUsersKey = createKeyClaim(stores.database, fingerprint)
    const made = { ...names, claimUsersKey, clientFor, pings, pingSchedule, holder, giveUpPings }
    return { ...declared, ...made, config, secrets, stores, installation, fingerprint, hostname: host, now }
  } catch (error) {
    await stores.close()
    throw error
  }
}

/** A command may work without Redis, or reports itself that Redis does not answer. */
const checkUnlessAway = async ({ sketches }: Stores, { uuid }: Installation): Promise<void> =>
  checkSketches(sketches, uuid).catch((error: unknown) => {
    if (!isStorageUnavailable(error)) throw error
  })

const hasCounters = async ({ entries }: Stores['sketches']): Promise<boolean> => {
  for await (const _ of entries(KEY_PREFIX)) return true
  return false
}

/** One client for each registry, because a client caches its tokens. A reloaded registry gets a new client. */
const createClients = ({ docker_config }: Config, { usersKey }: Secrets, now: () => Date): Core['clientFor'] => {
  const findCredentials = docker_config === undefined ? undefined : createDockerCredentials({ file: docker_config })
  const shared = { ...(findCredentials && { findCredentials }), tokenUserAgent: userAgentOf(version), now }
  const known = new WeakMap<Registry, RegistryClient>()
  return (registry) => {
    const client =
      known.get(registry) ??
      createRegistryClient(registry, { ...shared, userAgent: ownReadAgent(version, usersKey, registry) })
    known.set(registry, client)
    return client
  }
}
