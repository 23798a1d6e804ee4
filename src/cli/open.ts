import { readConfig, type Config } from '../config.js'
import { createCore, home, type Core } from '../core.js'
import { context } from './command-context.js'
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

/** Asks the running service where it holds the embedded database, and opens the stores everywhere else. */
export const askOrOpen = async <T>(
  config: Config,
  ask: (service: ServiceClient) => Promise<T>,
  open: (core: Core) => Promise<T>,
): Promise<T> => {
  const service = findService(config)
  return service ? ask(service) : withCore(config, open)
}
