import { summarize } from '../src/inventory/summary/summarize.js'
import { migrate } from '../src/storage/migrate.js'
import { openPostgres, unhurried } from '../src/storage/postgres.js'
import { fillInventory, FULL_SIZE } from './inventory-data.js'
import { query } from './servers.js'

/** Fills a database that is empty; one that was filled by an earlier run stays as it is. */
export const fillOnce = async (url: string): Promise<void> => {
  await unhurried(url, migrate)
  const [row] = await query<{ filled: boolean }>(url, 'select exists (select from inventory.repositories) as filled')
  if (row?.filled === true) return
  await fillInventory(url, FULL_SIZE, (line) => {
    console.error(`  ${line}`)
  })
  await query(url, 'checkpoint')
}

/**
 * Makes the summary, or a service would make it while something else is measured.
 * @returns the seconds that the summary took.
 */
export const settle = async (url: string, now: () => Date): Promise<number> => {
  console.error('  summary …')
  const database = openPostgres(url)
  const start = performance.now()
  await summarize(database, now)
  const seconds = (performance.now() - start) / 1000
  await database.close()
  return seconds
}
