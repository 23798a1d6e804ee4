import { sql, type RawBuilder } from 'kysely'
import type { Database } from '../../storage/sql/database.js'

/**
 * Erases the last uses of objects that the registry no longer has. The other last uses stay: they contain no origin, and without them
 * a clean-up would treat used objects as unused.
 */
export const eraseLastUses = async (
  jobs: Database['jobs'],
  where: RawBuilder<unknown>,
  registries: readonly string[] = [],
): Promise<number> => {
  const { numAffectedRows = 0n } = await sql`delete from pulls.last_uses u where ${where} and not exists (
      select from inventory.repositories r
      where (r.registry = u.registry or r.registry = any(${registries}::text[])) and r.name = u.repository and (
        -- Each is looked up by its index: without "offset", PostgreSQL may read all tags instead.
        exists (select from inventory.live_tags t where t.repository_id = r.id and t.name = u.reference offset 0)
        or exists (
          select from inventory.repository_manifests m
          where m.repository_id = r.id and m.digest = u.reference and m.live offset 0
        )
      )
    )
  `.execute(jobs)
  return Number(numAffectedRows)
}
