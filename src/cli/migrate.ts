import { openStores } from '../service/stores.js'
import { clock, configNow, warnOfEmbedded } from './stores/open.js'
import { printLine } from './terminal/print.js'

export const migrateNow = async (): Promise<void> => {
  const config = configNow()
  warnOfEmbedded(config)
  const { migrated, close } = await openStores(config, clock)
  await close()
  printLine(migrated.length === 0 ? 'the schema is up to date' : `applied ${migrated.join(', ')}`)
}
