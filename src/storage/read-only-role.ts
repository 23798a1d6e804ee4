import { sql, type Kysely } from 'kysely'
import type { Database } from './database.js'

/** The role that statements of operators run as. Roles belong to the whole server: all databases of a server share this one. */
export const READ_ONLY_ROLE = 'tallyman_sql'

/** The schemas that the role reads. */
const SCHEMAS = ['inventory', 'pulls', 'regstat']

/** With the salt of a month and `users_key`, the address of an origin can be found by trial. */
const SECRET_TABLES = ['pulls.salts']

/**
 * Functions that PostgreSQL calls volatile and that change nothing: they read the clock, chance, or the size of a table. Every
 * other volatile function may have an effect that a rollback does not undo, and is refused.
 */
export const HARMLESS_FUNCTIONS: readonly string[] = [
  'array_sample',
  'array_shuffle',
  'bernoulli',
  'clock_timestamp',
  'current_query',
  'gen_random_uuid',
  'pg_database_size',
  'pg_indexes_size',
  'pg_is_in_recovery',
  'pg_lock_status',
  'pg_relation_size',
  'pg_table_size',
  'pg_total_relation_size',
  'random',
  'random_normal',
  'system',
  'timeofday',
  'uuidv4',
  'uuidv7',
]

/** The advisory lock under which rights are granted: two grants at once on one table fail. Any number, never changed. */
const LOCK = 7_391_028

const list = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ')

/**
 * Creates the role of operators' statements and lets it read all tables and views of SCHEMAS but the secret ones. It does so at
 * each start, since a role is no part of a database: an administrator may create it later, and a migration may add a table.
 * If the role of DATABASE_URL may not create roles, nothing happens (docs/operations.md has what an administrator runs).
 *
 * In the embedded database, which has no other users, the role also loses the right to execute functions with effects.
 */
export const prepareReadOnlyRole = async (db: Kysely<unknown>): Promise<void> => {
  await sql.raw(PREPARE).execute(db)
}

const PREPARE = `do $do$
declare
  granting record;
begin
  perform pg_advisory_xact_lock(${LOCK});
  if not exists (select from pg_roles where rolname = '${READ_ONLY_ROLE}') then
    create role ${READ_ONLY_ROLE} nologin;
  end if;
  if not pg_has_role(current_user, '${READ_ONLY_ROLE}',
    case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
  then
    execute format('grant ${READ_ONLY_ROLE} to %I', current_user);
  end if;
  for granting in
    select format('grant usage on schema %I to ${READ_ONLY_ROLE}', nspname) as statement from pg_namespace
    where nspname in (${list(SCHEMAS)}) and not has_schema_privilege('${READ_ONLY_ROLE}', oid, 'usage')
    union all
    select format('grant select on %s to ${READ_ONLY_ROLE}', c.oid::regclass) from pg_class c
    where c.relnamespace in (select oid from pg_namespace where nspname in (${list(SCHEMAS)}))
      and c.relkind in ('r', 'v', 'm', 'p') and format('%s', c.oid::regclass) not in (${list(SECRET_TABLES)})
      and not has_table_privilege('${READ_ONLY_ROLE}', c.oid, 'select')
    union all
    select format('revoke execute on function %s from public', p.oid::regprocedure) from pg_proc p
    where version() like '%PGlite%' and p.provolatile = 'v' and p.prokind = 'f' and p.proname not in (${list(HARMLESS_FUNCTIONS)})
      and has_function_privilege('${READ_ONLY_ROLE}', p.oid, 'execute')
  loop
    execute granting.statement;
  end loop;
exception when insufficient_privilege or duplicate_object or unique_violation then null;
end $do$`

/** What a statement must not name if the role does not exist, and the statement runs with the rights of DATABASE_URL. */
export const SECRET_NAMES: readonly string[] = [
  'pg_authid',
  'pg_largeobject',
  'pg_shadow',
  'pg_user_mapping',
  'pg_user_mappings',
  'rejected_events',
  'salts',
  'unresolved_users',
]

/** What is wrong with the rights of the role in DATABASE_URL, as a sentence each. The embedded database has no roles to choose. */
export const warningsOfRole = async ({ engine, sql: db }: Database): Promise<string[]> => {
  if (engine === 'pglite') return []
  const { rows } = await sql<{ is_superuser: boolean; has_role: boolean }>`
    select rolsuper as is_superuser, exists (select from pg_roles where rolname = ${READ_ONLY_ROLE}) as has_role
    from pg_roles where rolname = session_user
  `.execute(db)
  const [role] = rows
  return [...(role?.is_superuser === true ? [SUPERUSER] : []), ...(role?.has_role === false ? [NO_ROLE] : [])]
}

const SUPERUSER =
  'DATABASE_URL names a superuser of PostgreSQL: Tallyman needs none of its rights; use a role that owns the database'
const NO_ROLE =
  `"tallyman sql" has all rights of DATABASE_URL: as an administrator run "create role ${READ_ONLY_ROLE} nologin" and ` +
  `"grant ${READ_ONLY_ROLE} to" the role of DATABASE_URL, then restart Tallyman`
