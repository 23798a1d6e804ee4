import type { Database } from '../storage/sql/database.js'
import type { WatchdogLines } from '../service/watchdog.js'

const RESTART = 'start it again: all confirmed writes are stored'

/** Only a statement of the embedded database runs in the process itself. */
const BLOCKED: Record<Database['engine'], string> = {
  pglite:
    `the process was ended because one statement or computation kept it busy for too long; ${RESTART}. ` +
    'If it happens again, use PostgreSQL (DATABASE_URL)',
  postgresql:
    `the process was ended because one computation kept it busy for too long; ${RESTART}. ` +
    'If it happens again, give the process more processor time',
}

/** The messages of the service's watchdog when it ends the process. */
export const watchdogLines = (engine: Database['engine']): WatchdogLines => ({
  blocked: `tallyman: ${BLOCKED[engine]}`,
  late: `tallyman: the process was ended because it took too long to stop; ${RESTART}`,
})
