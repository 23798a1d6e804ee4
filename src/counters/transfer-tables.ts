import { sql } from 'kysely'
import type { Sql } from '../storage/sql/database.js'
import { isoText } from '../storage/sql/moments.js'
import type { LineKind } from './export-values.js'

export type TransferRow = Record<string, unknown>

export const ROWS_PER_PAGE = 1_000

type TransferTable = {
  /** The rows after a given row, in the order of the key. Values are JSON numbers and text only. */
  page: (db: Sql, after: TransferRow | undefined) => Promise<TransferRow[]>
  /** Imports rows; a second import of the same rows changes nothing. */
  take: (db: Sql, rows: string) => Promise<unknown>
}

/** The tables whose rows move with the sketches, by the kind of their lines. */
export const TABLES: Record<Exclude<LineKind, 'sketch'>, TransferTable> = {
  tally: {
    page: async (db, after) =>
      pageOf(
        sql`
        select name, day::text, value::float8 from tallies
        where (name, day) > (${after?.name ?? ''}, ${after?.day ?? '-infinity'}::date)
        order by name, day limit ${ROWS_PER_PAGE}
      `,
        db,
      ),
    take: async (db, rows) =>
      sql`
        insert into tallies (name, day, value)
        select name, day, value from json_to_recordset(${rows}::json) as arriving (name text, day date, value bigint)
        on conflict (name, day) do update set value = greatest(tallies.value, excluded.value)
      `.execute(db),
  },
  repository: {
    page: async (db, after) =>
      pageOf(
        sql`
        select registry, name, ${isoText(sql`first_at`)} as first_at,
               first_event, if_first, if_known
        from repositories where (registry, name) > (${after?.registry ?? ''}, ${after?.name ?? ''})
        order by registry, name limit ${ROWS_PER_PAGE}
      `,
        db,
      ),
    take: async (db, rows) =>
      sql`
        insert into repositories (registry, name, first_at, first_event, if_first, if_known)
        select * from json_to_recordset(${rows}::json) as arriving (
          registry text, name text, first_at timestamptz, first_event uuid, if_first jsonb, if_known jsonb
        )
        on conflict (registry, name) do update
          set first_at = excluded.first_at, first_event = excluded.first_event,
              if_first = excluded.if_first, if_known = excluded.if_known
          where (excluded.first_at, excluded.first_event) < (repositories.first_at, repositories.first_event)
      `.execute(db),
  },
  unresolved_user: {
    page: async (db, after) =>
      pageOf(
        sql`
        select name, event, day::text from unresolved_users
        where (name, event, day) > (${after?.name ?? ''}, ${after?.event ?? ''}, ${after?.day ?? '-infinity'}::date)
        order by name, event, day limit ${ROWS_PER_PAGE}
      `,
        db,
      ),
    take: async (db, rows) =>
      sql`
        insert into unresolved_users (name, event, day)
        select * from json_to_recordset(${rows}::json) as arriving (name text, event text, day date)
        on conflict do nothing
      `.execute(db),
  },
}

/**
 * The order of export. Resolving a name moves its contributions to a repository or a sketch. So data that moves during an export
 * moves to a part that is exported later.
 */
export const TABLE_KINDS = ['unresolved_user', 'repository', 'tally'] as const

const pageOf = async (query: { execute: (db: Sql) => Promise<{ rows: unknown[] }> }, db: Sql): Promise<TransferRow[]> =>
  (await query.execute(db)).rows as TransferRow[]
