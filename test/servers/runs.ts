import type { Database } from '../../src/storage/sql/database.js'

/** How many times the usual number of random cases are tried; the long run is RUNS_FACTOR=10. */
const FACTOR = Number(process.env.RUNS_FACTOR ?? 1)

/** The seed of all random cases: global-setup chooses and prints a new one in each run, unless SEED is set. */
export const SEED = Number(process.env.SEED)

type Runs = { seed: number; numRuns: number }

/** How often fast-check tries a property. */
export const runs = (usual: number): Runs => ({ seed: SEED, numRuns: Math.ceil(usual * FACTOR) })

/** The same, with a number for each database: a case on PGlite costs about three times as much. */
export const runsOn = ({ engine }: Database, usual: Record<Database['engine'], number>): Runs => runs(usual[engine])
