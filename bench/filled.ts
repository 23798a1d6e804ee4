import { summarize } from '../src/inventory/summary/summarize.js'
import { migrate } from '../src/schema/migrate.js'
import { openPostgres, withoutTimeLimit } from '../src/storage/sql/postgres.js'
import { fillInventory, FULL_SIZE } from './inventory-data.js'
import { query } from './servers.js'

/** Fills a database that is empty; one that was filled by an earlier run stays as it is. */
export const fillOnce = async (url: string): Promise<void> => {
  await withoutTimeLimit(url, migrate)
  const [row] = await query<{ filled: boolean }>(url, 'select exists (select from inventory.repositories) as filled')
  if (row?.filled === true) return
  await fillInventory(url, FULL_SIZE, (line) => {
    console.error(`  ${line}`)
  })
  await query(url, 'checkpoint')
}

/** Reads all tables into the buffers: what an index just made is on the disk alone, and a running service's is not. */
export const warm = async (url: string): Promise<void> => {
  console.error('  reading all tables …')
  try {
    await query(url, 'create extension if not exists pg_prewarm')
    await query(
      url,
      `select sum(pg_prewarm(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = 'inventory' and c.relkind in ('r', 'i')`,
    )
  } catch (error) {
    console.error(`  not possible (${(error as Error).message}): the first rounds read the disk`)
  }
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
