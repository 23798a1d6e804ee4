import { createPrometheus, type Prometheus } from '../http/prometheus.js'
import { unknownInTotals } from '../inventory/model/as-of.js'
import { newestPing } from '../ping/history.js'
import { pullTotals } from '../pulls/query/pull-totals.js'
import { readConflicts } from '../registries/conflicts.js'
import type { Core } from './core.js'

/** The measurements of this process, with the values that each scrape reads from the database. */
export const createServicePrometheus = (core: Core, droppedLogLines: () => number): Prometheus => {
  const { stores, identity, now } = core
  return createPrometheus({
    pingAge: async () => pingAge(core),
    pullTotals: async () => pullTotals(stores.database.sql),
    registryConflicts: async () => (await readConflicts({ database: stores.database, identity, now })).length,
    droppedLogLines,
    inventoryUnknown: async () => unknownInTotals(stores.database.sql),
  })
}

/** @returns seconds since the newest Service Ping, or `undefined` before the first */
const pingAge = async ({ stores, now }: Core): Promise<number | undefined> => {
  const newest = await newestPing(stores.database)
  return newest && (now().getTime() - newest.recordedAt.getTime()) / 1000
}

/** The same stores, with their times measured. */
export const observeStores = (
  { database, sketches }: Core['stores'],
  { timed }: Prometheus,
): Pick<Core['stores'], 'database' | 'sketches'> => {
  const timedAlone = timed(sketches.name, 'add', async (adding: Promise<void>) => adding)
  return {
    database: {
      ...database,
      transaction: timed(database.engine, 'transaction', database.transaction),
      run: timed(database.engine, 'statement', database.run),
    },
    sketches: {
      ...sketches,
      add: timed(sketches.name, 'add', sketches.add),
      addAlone: (additions) => {
        const adding = sketches.addAlone(additions)
        return adding && timedAlone(adding)
      },
      count: timed(sketches.name, 'count', sketches.count),
    },
  }
}
