import type { Logger } from 'pino'
import { createApp, type App } from '../service/app.js'
import type { Config } from '../config/config.js'
import { version } from '../home.js'
import { ineffectiveSettings } from '../config/ineffective-settings.js'
import { readReceptions } from '../ingest/receptions-table.js'
import { createLog, createServiceLogOutput, reasonOf } from '../service/log.js'
import type { LogOutput } from '../service/log-output.js'
import { markShown } from '../config/secrets.js'
import { markPostgres, otherStoreWarnings } from '../service/other-store.js'
import { nextPing } from '../service/status.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import { isRefusal, LONGEST_EMBEDDED_MS } from '../storage/sql/database.js'
import { hasEmbeddedDatabase } from '../storage/embedded/files.js'
import { keepHeapSmall } from '../runtime/small-heap.js'
import { blockedJobsFile } from '../service/job-rests.js'
import { openFileWarnings } from '../service/open-files.js'
import { settingWarnings } from '../service/warnings.js'
import { storeOf } from '../storage/unavailable.js'
import { loadDeclared } from '../service/core.js'
import { startWatchdog } from '../service/watchdog.js'
import { within } from '../runtime/timeout.js'
import { CommandError } from './terminal/failure.js'
import { checkListen, listen } from './listen.js'
import { clock, configNow } from './stores/open.js'
import { write } from './terminal/output.js'
import { watchdogLines } from './watchdog-lines.js'
import { welcome } from './welcome.js'

/** How long a start waits for stores that start at the same time. */
const START_PATIENCE_MS = 60_000
const START_RETRY_MS = 500
/** After SIGTERM, running work may take this long. */
const STOP_PATIENCE_MS = 9_000
/** After this time the process ends without closing the stores. All confirmed writes are stored by then. */
const CLOSE_PATIENCE_MS = 4_000

/** After a failure of the database, the process answers pending requests with 503 for this long, and /healthz fails. */
const FAILED_PATIENCE_MS = 1_000
/**
 * How long the event loop may be blocked. During that time registries get no answers and SIGTERM is not handled, and a process should
 * end within 10 s after SIGTERM.
 */
const LONGEST_BLOCK_MS = 8_000

/** Serves until SIGTERM or SIGINT; SIGHUP reads the registries again. */
export const serve = async (): Promise<void> => {
  // The stored data is about people, so other users of the machine must not read it.
  process.umask(0o077)
  const config = configNow()
  const output = createServiceLogOutput(clock)
  process.once('exit', output.flush)
  const log = createLog(config.log_level, output)
  for (const setting of ineffectiveSettings(config)) log.warn({ setting }, 'a setting has no effect')
  for (const warning of otherStoreWarnings(config)) log.warn(warning)
  // Creating the database takes long, so definitions and the address are checked first. For a directory in use, the error of its lock is
  // clearer.
  if (config.database_url === undefined && !hasEmbeddedDatabase(config.data_dir)) {
    loadDeclared(config)
    await checkListen(config.listen)
  }
  if (config.database_url === undefined) keepHeapSmall()
  const app = await createPatiently(config, log, output)
  try {
    await start(app, config, log)
  } catch (error) {
    app.http.close()
    await app.close()
    throw error
  }
}

const start = async (app: App, config: Config, log: Logger): Promise<void> => {
  for (const warning of [...openFileWarnings(), ...(await settingWarnings(app.core))])
    log.warn({ warning }, 'a setting or a right should be changed')
  const address = await listen(app.http, config.listen)
  markPostgres(config)
  const { database, statement: running } = app.core.stores
  const watchdog = startWatchdog({
    limitMs: LONGEST_BLOCK_MS,
    lines: watchdogLines(database.engine),
    // A statement of PostgreSQL does not block this process, and has its own time limit.
    note: app.rests && { file: blockedJobsFile(config.data_dir), text: app.rests.note },
    statement: running && { running, limitMs: LONGEST_EMBEDDED_MS },
  })
  app.core.stores.onFailure((failure) => {
    log.fatal({ reason: failure.message }, 'the embedded database failed; the process ends')
    setTimeout(() => process.exit(1), FAILED_PATIENCE_MS)
  })
  app.core.stores.lock?.announce(address)
  const hasEvents = (await readReceptions(app.core.stores.database, 1)).length > 0
  write(welcome(app.core, { address, hasEvents }), (error) => {
    if (!error) markShown(config.data_dir, app.core.secrets.unshown)
  })
  log.info({ version, listen: address, uuid: app.core.installation.uuid, nextPing: nextPing(app.core) }, 'serving')
  process.on('SIGHUP', app.reload)
  void app.afterListening()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      watchdog.endWithin(STOP_PATIENCE_MS + 500)
      void stop(app, log, signal)
    })
  }
}

const createPatiently = async (config: Config, log: Logger, output: LogOutput): Promise<App> => {
  const end = performance.now() + START_PATIENCE_MS
  for (let attempt = 0; ; attempt++) {
    try {
      return await createApp(config, log, clock, { canEndStatements: true, droppedLines: output.dropped })
    } catch (error) {
      if (config.database_url === undefined && isRefusal(error)) throw embeddedRefusal(error, config)
      if (!isStorageUnavailable(error) || performance.now() > end) throw error
      if (attempt % 10 === 0)
        log.warn({ reason: reasonOf(error) }, `${storeOf(error) ?? 'a store'} does not answer yet; waiting for it`)
      await new Promise((resolve) => setTimeout(resolve, START_RETRY_MS))
    }
  }
}

/** A server may still start, but a retry does not help the embedded database, for example if it lacks space. */
const embeddedRefusal = (error: Error, { data_dir }: Config): Error =>
  error.name === 'EmbeddedDatabaseFailed'
    ? error
    : new CommandError(
        `the embedded database in ${data_dir} cannot be used (${error.message}); free space if its disk is full, and start again`,
      )

/** Accepts no more requests, finishes the batch, sends the answers, and closes the stores. */
const stop = async (app: App, log: Logger, signal: string): Promise<void> => {
  log.info({ signal }, 'stopping')
  const tooLong = setTimeout(() => {
    log.error('stopping took too long; registries will send unanswered notifications again')
    process.exit(1)
  }, STOP_PATIENCE_MS)
  try {
    const closed = new Promise((resolve) => app.http.close(resolve))
    app.http.closeIdleConnections()
    await Promise.race([closed, new Promise((resolve) => setTimeout(resolve, STOP_PATIENCE_MS / 2))])
    app.http.closeAllConnections()
    await within(CLOSE_PATIENCE_MS, app.close())
  } catch (error) {
    log.error({ err: error }, 'a store could not be closed')
  }
  clearTimeout(tooLong)
  log.info('stopped')
  process.exit(0)
}
