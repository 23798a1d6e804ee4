import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Dimension values of more than 512 bytes are unknown. Days and months that were summarized with longer values lose their marks, so that
 * they are summarized again.
 */
export const longSummaryValues: Migration = {
  up: async (db: Kysely<unknown>) => {
    await sql`
      delete from pulls.summarized m using (
        select distinct registry, grain, start from pulls.summaries where octet_length(value) > 512
      ) s
      where m.registry = s.registry and m.grain = s.grain and m.start = s.start
    `.execute(db)
  },
}
