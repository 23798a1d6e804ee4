import type { Database } from '../storage/sql/database.js'
import type { WatchdogLines } from '../service/watchdog.js'

const RESTART = 'start it again: what was answered is stored'

/** Only a statement of the embedded database runs in the process itself. */
const BLOCKED: Record<Database['engine'], string> = {
  pglite:
    `the process was ended because one statement or computation kept it busy for too long; ${RESTART}. ` +
    'If it happens again, use PostgreSQL (DATABASE_URL)',
  postgresql:
    `the process was ended because one computation kept it busy for too long; ${RESTART}. ` +
    'If it happens again, give the process more processor time',
}

/** What the watchdog of the service prints when it ends the process. */
export const watchdogLines = (engine: Database['engine']): WatchdogLines => ({
  blocked: `tallyman: ${BLOCKED[engine]}`,
  late: `tallyman: the process was ended because it took too long to stop; ${RESTART}`,
})
