import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { Migrator, sql } from 'kysely'
import { createRegistries } from '../../src/registries/registries.js'
import { createRegistryIdentity, type IdentityInForce } from '../../src/registries/registry-identity.js'
import { migrate, MIGRATIONS } from '../../src/schema/migrate.js'
import { EMPTY_DATABASES, type OpenedDatabase } from '../servers/empty-databases.js'

describe.each(EMPTY_DATABASES)('an installation from before registries had an identity, on %s', (_, open) => {
  let opened: OpenedDatabase
  beforeEach(async () => {
    opened = await open()
    const provider = { getMigrations: async () => Promise.resolve(MIGRATIONS) }
    const { error } = await new Migrator({ db: opened.database.sql, provider }).migrateTo('0011-pull-windows')
    expect(error).toBeUndefined()
  })
  afterEach(async () => opened.close())

  const identified = async (setting?: 'host' | 'process'): Promise<IdentityInForce> => {
    const { database } = opened
    const configured = createRegistries(() => [])
    const { mode, because } = await createRegistryIdentity({ database, configured, setting, now: () => new Date(0) })
    return { mode, because }
  }

  test('goes by the host if it has data, until the setting says otherwise', async () => {
    await sql`insert into tallies values ('i_container_registry_pull', '2026-11-21', 1)`.execute(opened.database.sql)
    expect(await migrate(opened.database.sql)).toContain('0012-registry-identity')
    expect(await identified()).toEqual({ mode: 'host', because: 'existing installation' })
    expect(await identified('process')).toEqual({ mode: 'process', because: 'setting' })
    // Old data expires; the installation stays as it is.
    await sql`delete from tallies`.execute(opened.database.sql)
    expect(await identified()).toEqual({ mode: 'host', because: 'existing installation' })
  })

  test('goes by the process if no notification ever came', async () => {
    await sql`insert into installation values (true, gen_random_uuid(), now(), 'x')`.execute(opened.database.sql)
    await migrate(opened.database.sql)
    expect(await identified()).toEqual({ mode: 'process', because: 'new installation' })
    await sql`insert into tallies values ('i_container_registry_pull', '2026-11-21', 1)`.execute(opened.database.sql)
    expect(await identified()).toEqual({ mode: 'process', because: 'new installation' })
    expect(await identified('host')).toEqual({ mode: 'host', because: 'setting' })
  })
})
