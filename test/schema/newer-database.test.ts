import { expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { explain } from '../../src/cli/terminal/failure.js'
import { migrate } from '../../src/schema/migrate.js'
import { STORE_PAIRS } from '../servers/stores.js'

test.each(STORE_PAIRS)('a database of a newer version is refused with a sentence, with %s', async (_, open) => {
  const { database, close } = await open()
  const refusalOf = async (name: string): Promise<string> => {
    await sql`insert into kysely_migration (name, timestamp) values (${name}, '2026-11-29T00:00:00Z')`.execute(
      database.sql,
    )
    const error: unknown = await migrate(database.sql).catch((failure: unknown) => failure)
    await sql`delete from kysely_migration where name = ${name}`.execute(database.sql)
    return explain(error)
  }
  try {
    for (const name of ['9999-later', '0001-counters-of-another-branch']) {
      expect(await refusalOf(name)).toMatch(
        new RegExp(
          `^tallyman: this database was used by a newer version of Tallyman: it has the migration ${name}, which this version does not know; ` +
            'use the newer version, or restore a dump that was made before the upgrade$',
        ),
      )
    }
    expect(await migrate(database.sql)).toEqual([])
  } finally {
    await close()
  }
})
