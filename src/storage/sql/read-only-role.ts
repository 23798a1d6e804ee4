import { sql, type Kysely } from 'kysely'
import type { Database } from './database.js'

/** The role for statements of operators. Roles belong to the server, so all databases of a server share this role. */
export const READ_ONLY_ROLE = 'tallyman_sql'

/** The schemas that the role reads. */
const SCHEMAS = ['inventory', 'pulls', 'regstat']

/** Tables of other schemas that the role reads. They contain no secrets (ingest/rejected-events.ts). */
const TABLES = ['public.rejected_events']

/** With the salt of a period and `users_key`, the address of an origin can be found by trying all addresses. */
const SECRET_TABLES = ['pulls.salts']

/**
 * Functions that PostgreSQL calls volatile but that have no effects: they read the clock, a random number, or the size of a table.
 * Every other volatile function may have an effect that a rollback does not undo, and is refused.
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

/** Key of the advisory lock for granting rights: two concurrent grants on one table fail. Arbitrary, but it must never change. */
const LOCK = 7_391_028

const list = (names: readonly string[]): string => names.map((name) => `'${name}'`).join(', ')

/**
 * Creates the role for operators' statements, and lets it read TABLES and all tables and views of SCHEMAS except the secret ones.
 * It runs at each start, because an administrator may create the role later, and a migration may add a table. It skips rights that
 * the role of DATABASE_URL cannot grant (docs/operations.md lists the statements for an administrator).
 *
 * In the embedded database, which has no other users, the role also loses the right to execute functions with effects.
 */
export const prepareReadOnlyRole = async (db: Kysely<unknown>): Promise<void> => {
  await sql.raw(PREPARE).execute(db)
}

/** The privilege that `set role` needs, as `pg_has_role` names it. */
const SET_PRIVILEGE = `case when current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end`

/**
 * Errors that are ignored: the user lacks the right, another database of the server creates the role at the same time, or an
 * administrator changes the same row at the same time ("tuple concurrently updated"). The other statements still take effect.
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

/** Names that a statement must not contain if the role does not exist, because it then runs with the rights of DATABASE_URL. */
export const SECRET_NAMES: readonly string[] = [
  'pg_authid',
  'pg_largeobject',
  'pg_shadow',
  'pg_user_mapping',
  'pg_user_mappings',
  'salts',
  'unresolved_users',
]

/** Problems with the rights of the role in DATABASE_URL, one sentence each. The embedded database has no choice of roles. */
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
