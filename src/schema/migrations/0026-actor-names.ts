import { sql, type Kysely, type Migration } from 'kysely'

/**
 * Names of actors move to a separate table, so that erasing a name rewrites a small table and not the changes of years. Each name
 * has another number each day, so that a change belongs to no person after the name of its day is erased.
 */
const statements = [
  sql`create table inventory.actors (id bigint primary key, day date not null, name text not null)`,
  // The values in the statistics of a column stay after their rows are deleted.
  sql`alter table inventory.actors alter column name set statistics 0`,
  sql`insert into inventory.actors
    select row_number() over (order by gen_random_uuid()), day, actor
    from (
      select (at at time zone 'UTC')::date as day, actor from inventory.changes where actor is not null
      union select (at at time zone 'UTC')::date, actor from inventory.renames where actor is not null
    ) named`,
  sql`create index actors_migration on inventory.actors (day, md5(name))`,
  sql`create function inventory.actor_number(at timestamptz, actor text) returns bigint stable language sql as $$
    select id from inventory.actors a
    where a.day = (at at time zone 'UTC')::date and md5(a.name) = md5(actor) and a.name = actor
  $$`,
  // Changing the type writes the tables to new files, without the names, and removes the statistics of the column.
  sql`alter table inventory.changes alter column actor type bigint using inventory.actor_number(at, actor)`,
  sql`alter table inventory.renames alter column actor type bigint using inventory.actor_number(at, actor)`,
  sql`alter table inventory.changes rename column actor to actor_id`,
  sql`alter table inventory.renames rename column actor to actor_id`,
  sql`drop function inventory.actor_number`,
  sql`drop index inventory.actors_migration`,
]

/** See `inventory.actors`. */
export const actorNames: Migration = {
  up: async (db: Kysely<unknown>) => {
    for (const statement of statements) await statement.execute(db)
  },
}
