import { importFile, ImportRefused, type ImportDeps, type Imported } from '../logs/import-file.js'
import type { LogSource } from '../logs/log-source.js'
import { foldDays } from '../pulls/day-fold/fold-days.js'
import { hasLivePulls } from '../pulls/segments/has-live-pulls.js'
import type { Core } from './core.js'
import { createLogRequests } from './log-requests.js'

type ImportOf = Pick<ImportDeps<never, never>, 'registry' | 'given' | 'options' | 'onProgress'>

export type LogImport = {
  /**
   * The registry that has a name or alias.
   * @throws ImportRefused if its pulls come from another source, so that files would count them twice
   */
  registryOf: (name: string) => Promise<string>
  /** Imports what is new in a log. @throws ImportRefused, and the errors of the file system */
  importFile: (source: LogSource, of: ImportOf) => Promise<Imported>
  /** Folds the days that imports have changed. */
  fold: (onFolded?: (day: { registry: string; day: string }) => void) => Promise<void>
}

export const createLogImport = (core: Core): LogImport => {
  const { config, secrets, stores, identity, registries, now } = core
  const { database } = stores
  const { windows } = config
  const createRequests = createLogRequests(core)
  return {
    registryOf: async (name) => {
      await identity.refresh()
      const registry = registries.nameOf(name.trim().toLowerCase())
      if (await hasLivePulls(database.jobs, registry)) {
        throw new ImportRefused(
          registry,
          `its pulls are counted from its notifications already: import its logs under another name, for example --registry logs.${registry}`,
        )
      }
      return registry
    },
    importFile: async (source, of) =>
      importFile(source, {
        ...of,
        ...{ database, now },
        key: secrets.usersKey,
        createRequests: () => createRequests(of.registry),
      }),
    fold: async (onFolded) => foldDays({ database, windows, ...(onFolded && { onFolded }) }),
  }
}
