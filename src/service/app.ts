import type { Server } from 'node:http'
import type { Logger } from 'pino'
import type { Config } from '../config/config.js'
import type { Route } from '../http/routes.js'
import { watchFiles } from '../runtime/watch-files.js'
import { startBackground } from './background.js'
import { createCore, type Core } from './core.js'
import { createDoors } from './doors.js'
import type { DroppedLines } from './log-output.js'
import type { JobRests } from './job-rests.js'
import { openRecording } from './recording.js'

export type App = {
  core: Core
  http: Server
  /** All routes but the webhook. */
  routes: readonly Route[]
  /** With the embedded database. */
  rests: JobRests | undefined
  /** Reads the files of registries again. If a file is invalid, the error is logged, and the previous registries stay in use. */
  reload: () => void
  /** Does what need not be done before the service answers. To be called when `http` listens. */
  afterListening: () => Promise<void>
  /** Writes what was taken and closes the stores. The HTTP server takes no more by then. */
  close: () => Promise<void>
}

type AppOptions = {
  /** Whether another thread may end statements of the embedded database. */
  canEndStatements?: boolean
  /** Returns the lines of the log that were dropped. */
  droppedLines?: () => DroppedLines
}

/** Joins the whole service. The caller lets `http` listen. What was opened is closed again when it fails. */
export const createApp = async (
  config: Config,
  log: Logger,
  now: () => Date,
  { canEndStatements = false, droppedLines = () => ({ lines: 0 }) }: AppOptions = {},
): Promise<App> => {
  const core = await createCore(config, now, { isService: true, canEndStatements })
  try {
    return await joinApp(core, log, droppedLines)
  } catch (error) {
    await core.stores.close()
    throw error
  }
}

const joinApp = async (core: Core, log: Logger, droppedLines: () => DroppedLines): Promise<App> => {
  const recording = await openRecording(core, log, droppedLines)
  const background = await startBackground(core, recording, log)
  const reload = createReload(core, log)
  const unwatch = watchFiles(core.config.registriesFiles, reload)
  const { http, routes } = createDoors({ core, recording, background, droppedLines }, log)
  return {
    core,
    http,
    routes,
    rests: background.rests,
    reload,
    afterListening: background.finishErasures,
    close: async () => {
      background.stop()
      await recording.idle()
      await recording.receptions.flush().catch(() => undefined)
      await core.identity.flush().catch(() => undefined)
      await background.ended()
      recording.directory.close()
      unwatch()
      await core.stores.close()
    },
  }
}

const createReload =
  ({ registries }: Core, log: Logger) =>
  (): void => {
    try {
      registries.reload()
      log.info({ registries: registries.list().length }, 'the registries were read again')
    } catch (error) {
      log.warn(
        { reason: (error as Error).message },
        'the registries cannot be read again; the previous ones stay in use',
      )
    }
  }
