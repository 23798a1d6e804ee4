import { join } from 'node:path'
import { sql } from 'kysely'
import { KEY_PREFIX } from '../../src/counters/keys.js'
import { createRepositories, type Repositories } from '../../src/counters/repositories.js'
import { loadRules } from '../../src/counters/rules.js'
import { createDefinitionReader } from '../../src/definitions/definition-file.js'
import { createLookupOriginOf } from '../../src/requesters/lookup-origin.js'
import { createIngest, type Ingest } from '../../src/ingest/ingest.js'
import { loadClients } from '../../src/requesters/client.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'
import { PREFIXES } from '../../src/requesters/address.js'
import type { createIsOwnRead } from '../../src/registries/own-reads.js'
import { createOriginOf } from '../../src/requesters/origins.js'
import { createPendingOf } from '../../src/pulls/requests/pending-of.js'
import { HyperLogLog } from '../../src/storage/sketches/hyperloglog/hyperloglog.js'
import { createHashedNames } from '../../src/users/hashed-names.js'
import { createIdentify, createIdentifyName, type Identify } from '../../src/users/identify.js'
import { fixedClock } from './clock.js'
import { heardAt } from './heard.js'
import { ROOT } from './service.js'
import type { TestStores } from './stores.js'

export const RULES = loadRules(
  join(ROOT, 'definitions', 'events', 'registry.yml'),
  createDefinitionReader(join(ROOT, 'definitions', 'schema')),
)
export const CLIENT_OF = loadClients(
  [join(ROOT, 'definitions', 'clients.yml')],
  createDefinitionReader(join(ROOT, 'definitions', 'schema')),
)
const SALT = { from: 0, until: Infinity, text: 'a salt for tests only' }
export const ORIGIN_OF = createOriginOf({
  key: 'a key for tests only',
  salts: { at: () => SALT, before: () => undefined },
  prefixes: PREFIXES,
  window: WINDOWS.blobs,
})
export const LIFETIMES = { weekly: 42 * 86_400, monthly: 400 * 86_400 }

type Counting = Ingest & Pick<Repositories, 'rebuildStale'>

/** One process's way from events to counters, on stores it may share with others. */
export const createCounting = (
  { database, sketches }: TestStores,
  now: () => Date = fixedClock,
  isOwnRead: ReturnType<typeof createIsOwnRead> = () => false,
  identified?: Identify,
  elapsed: () => number = () => now().getTime(),
): Counting => {
  const hashed = createHashedNames('a key for tests only')
  const needs = { database, sketches, rules: RULES, lifetimes: LIFETIMES, now, isOwnRead }
  const identifyName = createIdentifyName({ directory: hashed, deployTokens: hashed, hasUserTokens: false })
  const identify = identified ?? createIdentify({ identifyName })
  const repositories = createRepositories(needs)
  const lookupOriginOf = createLookupOriginOf('a key for tests only', () => SALT)
  const pendingOf = createPendingOf({ originOf: ORIGIN_OF, clientOf: CLIENT_OF, placeOf: () => ({}) })
  const { rebuildStale } = repositories
  const { ingest, ...others } = createIngest({ ...needs, identify, repositories, lookupOriginOf, pendingOf, elapsed })
  let heard = Promise.resolve()
  return {
    ...others,
    rebuildStale,
    ingest: async (events, ...more) => {
      const told = await ingest(events, ...more)
      // One after the other: many batches at once would take all connections.
      heard = heard.then(async () => database.transaction(async (tx) => heardAt(tx, now())))
      await heard
      return told
    },
  }
}

/** All that was counted: each sketch's registers, each tally, and what is known of each repository. */
export const counted = async ({ database, sketches }: TestStores): Promise<Record<string, unknown>> => {
  const all: Record<string, unknown> = {}
  for await (const { key, bytes } of sketches.entries(KEY_PREFIX)) {
    all[key] = Buffer.from(new HyperLogLog(bytes).registers()).toString('base64').replace(/A{8,}/g, '~')
  }
  const tallies = await sql<{ name: string; day: string; value: string }>`
    select name, day::text, value from tallies
  `.execute(database.sql)
  for (const { name, day, value } of tallies.rows) all[`${name} ${day}`] = Number(value)
  const repositories = await sql<{ registry: string; name: string }>`
    select * from repositories
  `.execute(database.sql)
  for (const row of repositories.rows) all[`${row.registry}/${row.name}`] = row
  return all
}

/** Distinct users of an event of the rules in one sketch, as `i_container_registry_push_tag_user-2026-47`. */
export const countOf = async ({ sketches }: TestStores, name: string): Promise<number | Error | undefined> =>
  (await sketches.count([[KEY_PREFIX + name]]))[0]
