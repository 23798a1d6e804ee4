import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { joinLookups } from '../../../src/inventory/record/join-lookups.js'
import { settleChecks } from '../../../src/inventory/record/settle-checks.js'
import { NOW } from '../../servers/clock.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent, DIGEST } from '../../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

describe.each(STORE_PAIRS)('a process of the previous version that still runs during an upgrade, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  test('stores what it looks up, with the meaning that these rows had', async () => {
    await createCounting(stores).ingest([
      anEvent({ id: 1, action: 'push', object: 'manifest', digest: DIGEST, tag: 'latest', at: '2026-11-18T10:00:00Z' }),
    ])
    // The statement of the previous version: a HEAD has a tag, a GET by digest has none.
    await sql`
      insert into inventory.tag_lookups (event_id, repository_id, digest, tag, origin, at)
      select event_id, id, ${DIGEST}, tag, 'one client', at
      from inventory.repositories, (values
        (gen_random_uuid(), 'latest', '2026-11-18T10:30:00Z'::timestamptz),
        (gen_random_uuid(), null, '2026-11-18T10:30:02Z')
      ) as told (event_id, tag, at)
    `.execute(stores.database.sql)
    const { rows } = await sql`select method, tag, settled, joined from inventory.tag_lookups order by at`.execute(
      stores.database.sql,
    )
    expect(rows).toEqual([
      { method: 'HEAD', tag: 'latest', settled: true, joined: false },
      { method: 'GET', tag: null, settled: true, joined: false },
    ])
    await joinLookups(stores.database)
    await settleChecks(stores.database, NOW)
    const tags = await sql`select pulled_at, checked_at from inventory.tags`.execute(stores.database.sql)
    // The previous version has counted the check itself.
    expect(tags.rows).toEqual([{ pulled_at: new Date('2026-11-18T10:30:02Z'), checked_at: null }])
  })
})
