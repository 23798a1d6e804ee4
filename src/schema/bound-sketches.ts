import { sql } from 'kysely'
import { UserError } from '../runtime/user-error.js'
import type { Database } from '../storage/sql/database.js'
import type { SketchStore } from '../storage/sketches/sketch-store.js'
import type { Installation } from './installation.js'

type Stores = { database: Pick<Database, 'sql'>; sketches: Pick<SketchStore, 'binding'> }
type Uuid = Installation['uuid']

/** The store of sketches belongs to another installation. */
class OtherInstallation extends UserError {
  override readonly kind = 'setup'

  constructor(key: string, found: string, own: Uuid) {
    super(
      `Redis contains the counters of another installation (${nameOf(found)}; this database is of ${own}), so each would count the ` +
        'users of the other; set REDIS_URL to another Redis or another database number, or, if this database replaced the ' +
        `other one, delete the key ${key} in Redis`,
    )
  }
}

/** Another program may have written anything. */
const nameOf = (found: string): string => (/^[0-9a-f-]{36}$/.test(found) ? found : 'its name is no uuid')

/** Checks that Redis belongs to no other installation. @throws OtherInstallation */
export const checkSketches = async ({ binding }: Stores['sketches'], uuid: Uuid): Promise<void> => {
  const found = await binding?.read()
  if (binding && found !== undefined && found !== uuid) throw new OtherInstallation(binding.key, found, uuid)
}

/**
 * Binds Redis to this installation, and records when Redis has lost the binding. An installation that counted before there were
 * bindings is bound without a warning. The database records a binding after Redis has it. So if a recorded binding is missing in Redis, Redis
 * lost it, even if two processes start at the same time.
 * @throws OtherInstallation
 */
export const bindSketches = async ({ database, sketches }: Stores, uuid: Uuid, now: Date): Promise<void> => {
  const { binding } = sketches
  if (!binding) return
  const { boundAt } = await readBinding(database)
  // A bound Redis needs no write here, so it may be read-only at the moment.
  if ((await binding.read()) === undefined) {
    if (boundAt !== null)
      await sql`update installation set sketches_lost_at = ${now.toISOString()}::timestamptz`.execute(database.sql)
    await binding.bind(uuid)
  }
  await checkSketches(sketches, uuid)
  if (boundAt === null)
    await sql`update installation set sketches_bound_at = ${now.toISOString()}::timestamptz`.execute(database.sql)
}

/** Ends the warning about lost counters, because an export was imported. If Redis is not bound, the next start of the service binds it. */
export const endSketchLoss = async ({ database, sketches }: Stores): Promise<void> => {
  if (!sketches.binding) return
  const isBound = (await sketches.binding.read()) !== undefined
  await sql`
    update installation
    set sketches_lost_at = null, sketches_bound_at = case when ${isBound}::boolean then sketches_bound_at end
  `.execute(database.sql)
}

type WarningDeps = Stores & { uuid: Uuid; now: Date; lifetimes: { weekly: number } }

/**
 * The warnings if Redis lost its counters, or belongs to another installation now. A Redis that does not answer is reported
 * elsewhere.
 */
export const sketchWarnings = async ({ database, sketches, uuid, now, lifetimes }: WarningDeps): Promise<string[]> => {
  const { binding } = sketches
  if (!binding) return []
  const { boundAt, lostAt } = await readBinding(database)
  const found = boundAt === null ? uuid : await binding.read().catch(() => uuid)
  if (found !== undefined && found !== uuid) return [new OtherInstallation(binding.key, found, uuid).message]
  const since = found === undefined ? now : lostAt
  if (since === null) return []
  const end = new Date(since.getTime() + lifetimes.weekly * 1000)
  return end > now ? [lossWarning(since, end)] : []
}

const lossWarning = (since: Date, end: Date): string =>
  `Redis lost its counters (found at ${since.toISOString()}): FLUSHALL, eviction, or a restart without persistence. Unique users of ` +
  'weeks and months up to then are too few. Restore a backup of Redis, or import an export with tallyman counters import; ' +
  `this warning ends with an import, or at ${end.toISOString()}`

type Binding = { boundAt: Date | null; lostAt: Date | null }

const readBinding = async (database: Stores['database']): Promise<Binding> => {
  const { rows } = await sql<Binding>`
    select sketches_bound_at as "boundAt", sketches_lost_at as "lostAt" from installation
  `.execute(database.sql)
  return rows[0] ?? { boundAt: null, lostAt: null }
}
