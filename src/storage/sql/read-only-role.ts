import { sql, type Kysely } from 'kysely'
import type { Database } from './database.js'

/** The role that statements of operators run as. Roles belong to the whole server: all databases of a server share this one. */
export const READ_ONLY_ROLE = 'tallyman_sql'

/** The schemas that the role reads. */
const SCHEMAS = ['inventory', 'pulls', 'regstat']

/** Tables of other schemas that it reads: what operators look into, and nothing in them is secret (ingest/rejected-events.ts). */
const TABLES = ['public.rejected_events']

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
 * Creates the role of operators' statements and lets it read all tables and views of SCHEMAS but the secret ones, and TABLES. It
 * does so at each start, since a role is no part of a database: an administrator may create it later, and a migration may add a table.
 * What the role of DATABASE_URL may not create or grant is left out (docs/operations.md has what an administrator runs).
 *
 * In the embedded database, which has no other users, the role also loses the right to execute functions with effects.
 */
export const prepareReadOnlyRole = async (db: Kysely<unknown>): Promise<void> => {
  await sql.raw(PREPARE).execute(db)
}

/** The privilege that `set role` needs, as `pg_has_role` names it. */
const SET_PRIVILEGE = `case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end`

/**
 * What this user may not grant, what another database of the server creates at the same time, and what an administrator changes at
 * the same time ("tuple concurrently updated"). One such statement undoes none of the others.
 */
const SKIPPED = `insufficient_privilege or duplicate_object or unique_violation or internal_error`

const PREPARE = `do $do$
declare
  granting record;
begin
  perform pg_advisory_xact_lock(${LOCK});
  if not exists (select from pg_roles where rolname = '${READ_ONLY_ROLE}') then
    begin
      create role ${READ_ONLY_ROLE} nologin;
    exception when ${SKIPPED} then null;
    end;
  end if;
  if not exists (select from pg_roles where rolname = '${READ_ONLY_ROLE}') then
    return;
  end if;
  if not pg_has_role(session_user, '${READ_ONLY_ROLE}', ${SET_PRIVILEGE}) then
    begin
      execute format('grant ${READ_ONLY_ROLE} to %I', session_user);
    exception when ${SKIPPED} then null;
    end;
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
    select format('grant select on %s to ${READ_ONLY_ROLE}', granted::regclass)
    from (select to_regclass(name) as granted from unnest(array[${list(TABLES)}]) as t (name)) tables
    where granted is not null and not has_table_privilege('${READ_ONLY_ROLE}', granted::oid, 'select')
    union all
    select format('revoke execute on function %s from public', p.oid::regprocedure) from pg_proc p
    where version() like '%PGlite%' and p.provolatile = 'v' and p.prokind = 'f' and p.proname not in (${list(HARMLESS_FUNCTIONS)})
      and has_function_privilege('${READ_ONLY_ROLE}', p.oid, 'execute')
  loop
    begin
      execute granting.statement;
    exception when ${SKIPPED} then null;
    end;
  end loop;
end $do$`

/** What a statement must not name if the role does not exist, and the statement runs with the rights of DATABASE_URL. */
export const SECRET_NAMES: readonly string[] = [
  'pg_authid',
  'pg_largeobject',
  'pg_shadow',
  'pg_user_mapping',
  'pg_user_mappings',
  'salts',
  'unresolved_users',
]

/** What is wrong with the rights of the role in DATABASE_URL, as a sentence each. The embedded database has no roles to choose. */
export const warningsOfRole = async ({ engine, sql: db }: Database): Promise<string[]> => {
  if (engine === 'pglite') return []
  const { rows } = await sql<Rights>`
    select quote_ident(session_user) as name, own.rolsuper as is_superuser, role.oid is not null as has_role,
      coalesce(pg_has_role(session_user, role.oid, ${sql.raw(SET_PRIVILEGE)}), false) as can_set,
      (
        select bool_and(has_schema_privilege(role.oid, oid, 'usage')) from pg_namespace
        where nspname in (${sql.raw(list(SCHEMAS))})
      ) as can_read
    from pg_roles own left join pg_roles role on role.rolname = ${READ_ONLY_ROLE}
    where own.rolname = session_user
  `.execute(db)
  const [rights] = rows
  return rights === undefined ? [] : warningsOf(rights)
}

type Rights = { name: string; is_superuser: boolean; has_role: boolean; can_set: boolean; can_read: boolean | null }

const warningsOf = ({ name, is_superuser, has_role, can_set, can_read }: Rights): string[] => {
  const warnings = is_superuser ? [SUPERUSER] : []
  const grant = `"grant ${READ_ONLY_ROLE} to ${name}", then restart Tallyman`
  if (!has_role)
    return [...warnings, `${ALL_RIGHTS}: as an administrator run "create role ${READ_ONLY_ROLE} nologin" and ${grant}`]
  if (!can_set)
    warnings.push(`${ALL_RIGHTS}, which may not use the role ${READ_ONLY_ROLE}: as an administrator run ${grant}`)
  if (can_read === false) warnings.push(CANNOT_READ)
  return warnings
}

const SUPERUSER =
  'DATABASE_URL names a superuser of PostgreSQL: Tallyman needs none of its rights; use a role that owns the database'
const ALL_RIGHTS = '"tallyman sql" has all rights of DATABASE_URL'
const CANNOT_READ =
  `"tallyman sql" cannot read all of its schemas: as their owner run ` +
  `"grant usage on schema ${SCHEMAS.join(', ')} to ${READ_ONLY_ROLE}"`
