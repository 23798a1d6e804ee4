import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { basename } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Config } from './config.js'
import { loadRules, type Rules } from './counters/rules.js'
import { createDefinitionReader } from './definitions/definition-file.js'
import { createDockerCredentials } from './inventory/registry/docker-config.js'
import { createRegistryClient } from './inventory/registry/http-registry-client.js'
import { userAgentFor } from './inventory/registry/own-reads.js'
import { createRegistries, type Registry } from './inventory/registry/registries.js'
import type { RegistryClient } from './inventory/registry/registry-client.js'
import type { Schedule } from './jobs.js'
import { loadMetrics, type DataCategory, type LoadedMetric } from './metrics/definition.js'
import { createKinds, type NamedValues } from './metrics/kinds.js'
import { QUERIES } from './metrics/queries.js'
import { createDeliver } from './ping/deliver.js'
import { buildPing } from './ping/payload.js'
import { pingCron } from './ping/schedule.js'
import { createServicePings, type ServicePings } from './ping/service-ping.js'
import { loadClients, type ClientOf } from './pulls/client.js'
import { countPulls } from './pulls/read/count-pulls.js'
import { MEASURE_NAMES } from './pulls/read/measures.js'
import { fingerprintOf, loadSecrets, type Secrets } from './secrets.js'
import { installationIn, type Installation } from './storage/installation.js'
import { openStores, type Stores } from './stores.js'

/** The folder with package.json, metrics/ and definitions/: the parent of src/ and of dist/. */
export const home = fileURLToPath(new URL('..', import.meta.url))

export const version = (
  JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }
).version

/** What is declared in definitions/ and metrics/. */
export type Declared = { rules: Rules; metrics: LoadedMetric[]; clientOf: ClientOf }

/** Everything that the service and the commands have in common. */
export type Core = Declared & {
  config: Config
  secrets: Secrets
  stores: Stores
  installation: Installation
  fingerprint: string
  hostname: string
  /** The registries that the configuration names. */
  registries: ReturnType<typeof createRegistries>
  /** Asks one of them. */
  clientFor: (registry: Registry) => RegistryClient
  pings: ServicePings
  /** When Service Pings are made, unless the configuration wants none. */
  pingSchedule: Schedule
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
    queries: new Set(Object.keys(QUERIES)),
    measures: new Set<string>(MEASURE_NAMES),
    systemValues: new Set(SYSTEM_VALUES),
    settingValues: new Set(SETTING_VALUES),
  })
  return { rules, metrics, clientOf: loadClients(config.clients_files, read) }
}

/** Opens the stores and joins what works on them. */
export const createCore = async (config: Config, now: () => Date): Promise<Core> => {
  const declared = loadDeclared(config)
  const secrets = loadSecrets({
    dataDir: config.data_dir,
    notificationTokens: config.notification_tokens,
    apiTokens: config.api_tokens,
    usersKey: config.users_key,
  })
  const fingerprint = fingerprintOf(secrets.usersKey)
  const stores = await openStores(config, now)
  try {
    const installation = await installationIn(stores.database, fingerprint, now())
    const host = config.hostname ?? hostname()
    const stopping = new AbortController()
    const giveUpPings = (): void => {
      stopping.abort()
    }
    const { metrics } = declared
    const pings = createPings({ config, stores, installation, host, metrics, now, stopping: stopping.signal })
    const pingSchedule = { cron: config.ping_cron ?? pingCron(installation.uuid), timeZone: config.ping_time_zone }
    const registries = createRegistries(config.readRegistries)
    const clientFor = createClients(config, secrets, now)
    const made = { registries, clientFor, pings, pingSchedule, giveUpPings }
    return { ...declared, ...made, config, secrets, stores, installation, fingerprint, hostname: host, now }
  } catch (error) {
    await stores.close()
    throw error
  }
}

/** One client for each registry, as it keeps the tokens it was given; a registry that is read again has another. */
const createClients = ({ docker_config }: Config, { usersKey }: Secrets, now: () => Date): Core['clientFor'] => {
  const findCredentials = docker_config === undefined ? undefined : createDockerCredentials({ file: docker_config })
  const userAgent = userAgentFor(version, usersKey)
  const known = new WeakMap<Registry, RegistryClient>()
  return (registry) => {
    const client =
      known.get(registry) ??
      createRegistryClient(registry, { ...(findCredentials && { findCredentials }), userAgent, now })
    known.set(registry, client)
    return client
  }
}

type PingNeeds = {
  config: Config
  stores: Stores
  installation: Installation
  host: string
  metrics: LoadedMetric[]
  now: () => Date
  stopping: AbortSignal
}

const createPings = ({ config, stores, installation, host, metrics, now, stopping }: PingNeeds): ServicePings => {
  const { database, sketches } = stores
  const { uuid } = installation
  const kinds = createKinds({
    database,
    sketches,
    countPulls: async (wanted) => countPulls(database.sql, wanted),
    now,
    systemValues: systemValues(stores, installation, host),
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
      }),
    }),
    holder: randomUUID(),
    now,
    random: Math.random,
    sleep: async (ms) => setTimeout(ms, undefined, { ref: false, signal: stopping }).catch(() => undefined),
    stopping,
  })
}

const SYSTEM_VALUES = [
  'uuid',
  'hostname',
  'version',
  'installed_at',
  'uptime_seconds',
  'node_version',
  'database_adapter',
  'database_version',
  'sketch_store_adapter',
  'sketch_store_version',
] as const

const systemValues = (
  { database, sketches }: Stores,
  { uuid, installedAt }: Installation,
  host: string,
): NamedValues & Record<(typeof SYSTEM_VALUES)[number], unknown> => ({
  uuid: () => uuid,
  hostname: () => host,
  version: () => version,
  installed_at: () => installedAt.toISOString(),
  uptime_seconds: () => Math.round(process.uptime()),
  node_version: () => process.versions.node,
  database_adapter: () => database.engine,
  database_version: database.version,
  sketch_store_adapter: () => sketches.name,
  sketch_store_version: sketches.version,
})

const SETTING_VALUES = [
  'event_rules',
  'user_directory',
  'user_token_verified',
  'ping_destination',
  'include_optional_metrics',
] as const

const settingValues = (config: Config): NamedValues & Record<(typeof SETTING_VALUES)[number], unknown> => ({
  event_rules: () => basename(config.rules_file, '.yml'),
  user_directory: () => config.user_directory,
  user_token_verified: () => config.user_token_key !== undefined,
  ping_destination: () => config.ping_url !== undefined,
  include_optional_metrics: () => config.ping_optional_metrics,
})
