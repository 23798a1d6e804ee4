import { basename } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { Config } from '../config/config.js'
import { pauseIn } from '../events/retry-after.js'
import { version } from '../home.js'
import type { DataCategory, LoadedMetric } from '../metrics/definition.js'
import { createKinds, type NamedValues } from '../metrics/kinds.js'
import { createDeliver } from '../ping/deliver.js'
import { buildPing } from '../ping/payload.js'
import { createServicePings, type ServicePings } from '../ping/service-ping.js'
import { countPulls } from '../pulls/query/count-pulls.js'
import type { KeptSchedule } from '../runtime/jobs.js'
import type { Installation } from '../schema/installation.js'
import { checkStores } from './check-stores.js'
import type { Stores } from './stores.js'

type PingDeps = {
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

/** Joins what makes, keeps and delivers Service Pings. */
export const createPings = ({ config, stores, installation, host, metrics, ...deps }: PingDeps): ServicePings => {
  const { database, sketches } = stores
  const { isService, now, stopping, holder, schedule } = deps
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
export const SYSTEM_VALUES = {
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
export const SETTING_VALUES = {
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
