import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { checkStores } from './check-stores.js'
import type { Config } from '../config/config.js'
import { KEY_PREFIX } from '../counters/keys.js'
import { loadRules, type Rules } from '../counters/rules.js'
import { createDefinitionReader } from '../definitions/definition-file.js'
import { pauseIn } from '../events/retry-after.js'
import { createDockerCredentials } from '../registries/client/docker-config.js'
import { createRegistryClient } from '../registries/client/http-registry-client.js'
import { ownReadAgent, userAgentOf } from '../registries/own-reads.js'
import { createRegistries, type Registry } from '../registries/registries.js'
import type { RegistryClient } from '../registries/client/registry-client.js'
import { keptSchedule, type Schedule } from '../runtime/jobs.js'
import { loadMetrics, type DataCategory, type LoadedMetric } from '../metrics/definition.js'
import { createKinds, type NamedValues } from '../metrics/kinds.js'
import { QUERIES } from '../metrics/queries.js'
import { createDeliver } from '../ping/deliver.js'
import { buildPing } from '../ping/payload.js'
import { pingCron } from '../ping/schedule.js'
import { createServicePings, PING, type ServicePings } from '../ping/service-ping.js'
import { loadClients, type ClientOf } from '../requesters/client.js'
import { countPulls } from '../pulls/query/count-pulls.js'
import { MEASURE_NAMES } from '../pulls/model/measures.js'
import { createRegistryIdentity, type RegistryIdentity } from '../registries/registry-identity.js'
import { createRegistryNames, type RegistryNames } from '../registries/registry-names.js'
import { fingerprintOf, loadSecrets, removeMade, USERS_KEY_FILE, type Secrets } from '../config/secrets.js'
import { bindSketches, checkSketches } from '../schema/bound-sketches.js'
import { installationIn, type Installation } from '../schema/installation.js'
import type { KeptSchedule } from '../runtime/jobs.js'
import { createKeyClaim, OtherUsersKey } from '../schema/users-key.js'
import { version } from '../home.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import { openStores, type Stores } from './stores.js'

/** What is declared in definitions/ and metrics/. */
export type Declared = { rules: Rules; metrics: LoadedMetric[]; clientOf: ClientOf }

/** Everything that the service and the commands have in common. */
export type Core = Declared & {
  config: Config
  secrets: Secrets
  stores: Stores
  installation: Installation
  fingerprint: string
  /** Binds the database to the users key, before this process counts a user. @returns undefined when that is done */
  claimUsersKey: ReturnType<typeof createKeyClaim>
  hostname: string
  /** Which registry a sender is. */
  identity: RegistryIdentity
  /** The names that notification tokens have. */
  tokenNames: readonly string[]
  /** The registries that the configuration names, and what was learned about their hosts. */
  registries: RegistryIdentity['registries']
  /** The registries that queries and requests name. */
  registryNames: RegistryNames
  /** Asks one of them. */
  clientFor: (registry: Registry) => RegistryClient
  pings: ServicePings
  /** When Service Pings are made, unless the configuration wants none. */
  pingSchedule: Schedule
  /** This process, for leases. */
  holder: string
  now: () => Date
  /** Gives up what pings wait for, because the process stops. */
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
 * Opens the stores and joins what works on them.
 * @param isService whether this process is a service, whose uptime a ping contains; a command is none
 */
export const createCore = async (
  config: Config,
  now: () => Date,
  isService = false,
  canEndStatements = false,
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
      // A process that was started in another folder leaves nothing there.
      if (error instanceof OtherUsersKey) removeMade(config.data_dir, secrets)
      throw error
    })
    if (isService) await bindSketches(stores, installation.uuid, now())
    else await checkUnlessAway(stores, installation)
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

/** A command may do without Redis, or report that it does not answer. */
const checkUnlessAway = async ({ sketches }: Stores, { uuid }: Installation): Promise<void> =>
  checkSketches(sketches, uuid).catch((error: unknown) => {
    if (!isStorageUnavailable(error)) throw error
  })

const hasCounters = async ({ entries }: Stores['sketches']): Promise<boolean> => {
  for await (const _ of entries(KEY_PREFIX)) return true
  return false
}

/** One client for each registry, as it keeps the tokens it was given; a registry that is read again has another. */
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

type PingNeeds = {
  config: Config
  stores: Stores
  installation: Installation
  host: string
  isService: boolean
  metrics: LoadedMetric[]
  now: () => Date
  stopping: AbortSignal
  holder: string
  schedule: KeptSchedule
}

const createPings = ({ config, stores, installation, host, metrics, ...needs }: PingNeeds): ServicePings => {
  const { database, sketches } = stores
  const { isService, now, stopping, holder, schedule } = needs
  const { uuid } = installation
  const kinds = createKinds({
    database,
    sketches,
    countPulls: async (wanted) => countPulls(database.sql, wanted),
    now,
    systemValues: systemValues(stores, installation, { host, isService }),
    settingValues: settingValues(config),
  })
  const categories = new Set<DataCategory>(['standard', 'subscription', 'operational'])
  if (config.ping_optional_metrics) categories.add('optional')
  const definitions = metrics.map(({ definition }) => definition)
  return createServicePings({
    database,
    build: async (kind) => buildPing({ definitions, kinds, uuid, categories, now }, kind),
    ...(config.ping_url !== undefined && {
      deliver: createDeliver({
        database,
        destination: new URL(config.ping_url),
        sender: { uuid, hostname: host, version },
        now,
        stopping,
        pauseIn,
      }),
    }),
    holder,
    schedule,
    storesAnswer: async () => Object.values(await checkStores(stores)).every(({ ok }) => ok),
    now,
    random: Math.random,
    sleep: async (ms) => setTimeout(ms, undefined, { ref: false, signal: stopping }).catch(() => undefined),
    stopping,
  })
}

/** What the service knows of itself, with the type of each value. */
const SYSTEM_VALUES = {
  uuid: 'string',
  hostname: 'string',
  version: 'string',
  installed_at: 'string',
  uptime_seconds: 'number',
  node_version: 'string',
  database_adapter: 'string',
  database_version: 'string',
  sketch_store_adapter: 'string',
  sketch_store_version: 'string',
} as const

const systemValues = (
  { database, sketches }: Stores,
  { uuid, installedAt }: Installation,
  { host, isService }: { host: string; isService: boolean },
): NamedValues & Record<keyof typeof SYSTEM_VALUES, unknown> => ({
  uuid: () => uuid,
  hostname: () => host,
  version: () => version,
  installed_at: () => installedAt.toISOString(),
  // Of a command, the uptime says nothing about the service.
  uptime_seconds: () => (isService ? Math.round(process.uptime()) : -1),
  node_version: () => process.versions.node,
  database_adapter: () => database.engine,
  database_version: database.version,
  sketch_store_adapter: () => sketches.name,
  sketch_store_version: sketches.version,
})

/** Settings that a ping may contain, with the type of each value. */
const SETTING_VALUES = {
  event_rules: 'string',
  user_directory: 'string',
  user_token_verified: 'boolean',
  ping_destination: 'boolean',
  include_optional_metrics: 'boolean',
} as const

const settingValues = (config: Config): NamedValues & Record<keyof typeof SETTING_VALUES, unknown> => ({
  event_rules: () => basename(config.rules_file, '.yml'),
  user_directory: () => config.user_directory,
  user_token_verified: () => config.user_token_key !== undefined,
  ping_destination: () => config.ping_url !== undefined,
  include_optional_metrics: () => config.ping_optional_metrics,
})
