import { dumpNow as writeDump, type NewestDump } from '../storage/embedded/dump-now.js'
import { embeddedFiles } from '../storage/embedded/files.js'
import { CommandError } from './terminal/failure.js'
import { askOrOpen, configNow } from './stores/open.js'
import { printLine } from './terminal/print.js'
import { when } from './terminal/when.js'

/** Writes a dump of the embedded database, through the running service if there is one. */
export const dumpNow = async (): Promise<void> => {
  const config = configNow()
  if (config.database_url !== undefined) {
    throw new CommandError(
      'only the embedded database has dumps of Tallyman: back up the database in DATABASE_URL with pg_dump',
    )
  }
  const { lastAt } = await askOrOpen<NewestDump>(
    config,
    async (service) => (await service.post('/dump')) as NewestDump,
    async ({ stores }) => {
      if (!stores.dumps) throw new CommandError('only the embedded database has dumps of Tallyman')
      return writeDump(stores.dumps)
    },
  )
  printLine(`a dump of ${when(lastAt)} is in ${embeddedFiles(config.data_dir).dumps}`)
}
