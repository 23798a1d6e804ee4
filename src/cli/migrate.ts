import { openStores } from '../stores.js'
import { clock, configNow } from './open.js'
import { printLine } from './print.js'

export const migrateNow = async (): Promise<void> => {
  const { migrated, close } = await openStores(configNow(), clock)
  await close()
  printLine(migrated.length === 0 ? 'the schema is up to date' : `applied ${migrated.join(', ')}`)
}
