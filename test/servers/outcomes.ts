import { sql } from 'kysely'
import type { Database } from '../../src/storage/sql/database.js'

/** An invocation as the fold keeps it; tests name what matters to them. */
export const OUTCOME = {
  ...{ what: 'invocation', registry: 'registry.example', repository: 'a', endpoint: 'e', source: 'notification' },
  ...{ by_tag: true, tag: '1', gets: 1, layers: 0, bytes: 0, platform: 'unknown', platform_pulls: 0 },
  ...{ client: 'docker', kind: 'runtime', starts_session: false, shows_blobs: false, signed_in: false },
}

/** Keeps outcomes as rows of pulls.outcomes. */
export const keepOutcomes = async ({ sql: db }: Database, outcomes: readonly object[]): Promise<void> => {
  await sql`
    insert into pulls.outcomes select * from jsonb_populate_recordset(null::pulls.outcomes, ${JSON.stringify(outcomes)}::jsonb)
  `.execute(db)
}
