import { readConfig, type Config } from '../../config/config.js'
import { home } from '../../home.js'
import { createCore, type Core } from '../../service/core.js'
import { FileError } from '../../runtime/file-error.js'
import { hasEmbeddedDatabase } from '../../storage/embedded/files.js'
import { hasUsedPostgres, otherStoreWarnings } from '../../service/other-store.js'
import { context } from '../command-context.js'
import { CommandError } from '../terminal/failure.js'
import { writeError } from '../terminal/output.js'
import { findService, type ServiceClient } from './service-client.js'

export const configNow = (): Config => readConfig(context().env, home)

export const clock = (): Date => new Date()

/** Runs work on the stores and closes them. */
export const withCore = async <T>(config: Config, work: (core: Core) => Promise<T>): Promise<T> => {
  const core = await createCore(config, clock)
  try {
    return await work(core)
  } finally {
    await core.stores.close()
  }
}

/**
 * Sends a request to the running service if it has the embedded database open; otherwise opens the stores.
 * @throws CommandError if there is no installation: a query would create one in the current directory, and print zeros
 */
export const askOrOpen = async <T>(
  config: Config,
  ask: (service: ServiceClient) => Promise<T>,
  open: (core: Core) => Promise<T>,
): Promise<T> => {
  warnOfEmbedded(config)
  return askOrOpenQuietly(config, ask, open)
}

/** Warns if the embedded database is used although a service of its directory has used PostgreSQL. */
export const warnOfEmbedded = (config: Config): void => {
  if (config.database_url !== undefined || !hasEmbeddedDatabase(config.data_dir)) return
  for (const warning of otherStoreWarnings(config)) writeError(`tallyman: warning: ${warning}`)
}

/** As `askOrOpen`, for a command that shows warnings in its output. */
export const askOrOpenQuietly = async <T>(
  config: Config,
  ask: (service: ServiceClient) => Promise<T>,
  open: (core: Core) => Promise<T>,
): Promise<T> => {
  const service = findService(config)
  return service ? ask(service) : withInstallation(config, open)
}

/**
 * Runs work on the stores of an installation and closes them.
 * @throws CommandError if there is no installation
 */
export const withInstallation = async <T>(config: Config, work: (core: Core) => Promise<T>): Promise<T> => {
  if (hasInstallation(config)) return withCore(config, work)
  if (hasUsedPostgres(config.data_dir)) {
    throw new CommandError(
      `there is no embedded database in ${config.data_dir}, and a service of this directory has used PostgreSQL: set DATABASE_URL`,
    )
  }
  throw new CommandError(
    `there is no installation in ${config.data_dir}: run the command in the folder of the service, set TALLYMAN_DATA_DIR ` +
      'to its data directory, or start the service with "tallyman serve"',
  )
}

/**
 * Whether there is an installation. Always true for a database server, which is checked later.
 * @throws CommandError if this user may not read the data directory
 */
const hasInstallation = ({ database_url, data_dir }: Config): boolean => {
  try {
    return database_url !== undefined || hasEmbeddedDatabase(data_dir)
  } catch (error) {
    if (error instanceof FileError && error.code === 'EACCES')
      throw new CommandError(`${error.message}; run the command as the user of the service`)
    throw error
  }
}
