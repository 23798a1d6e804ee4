import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { ask } from '../../../src/inventory/questions/ask.js'
import { lastUsed } from '../../../src/inventory/questions/last-used.js'
import { settleChecks } from '../../../src/inventory/record/settle-checks.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { digestOf } from '../../servers/history.js'
import { OCI_IMAGE } from '../../servers/manifests.js'
import { eventually } from '../../servers/process.js'
import { openServerStores, type TestStores } from '../../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')

// The embedded database has one session: no transaction waits for the lock of another.
let stores: TestStores
beforeAll(async () => {
  stores = await openServerStores()
})
afterAll(async () => stores.close())
beforeEach(async () => stores.clear())

const isWaiting = async (): Promise<boolean> => {
  const { rows } = await sql`
    select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'
  `.execute(stores.database.jobs)
  return rows.length > 0
}

test.each([
  ['a manifest', { digest: digestOf('a') }, 'repository_manifests'],
  ['a tag', { digest: digestOf('a'), tag: 'v1' }, 'tags'],
])('a HEAD of %s is a check, also if its row changes while this waits for it', async (_, asked, table) => {
  const { ingest } = createCounting(stores, () => NOW)
  const image = { object: 'manifest', mediaType: OCI_IMAGE, size: 20 } as const
  await ingest([
    anEvent({ ...image, id: 1, at: '2026-01-10T10:00:00Z', digest: digestOf('a'), tag: 'v1', name: 'ci' }),
    anEvent({
      ...{ ...image, ...asked, id: 2, action: 'pull', method: 'HEAD', at: '2026-11-20T10:00:00Z' },
      ...{ address: '192.0.2.9', userAgent: 'containerd/v1.7.21' },
    }),
  ])
  let settling: Promise<void> | undefined
  await stores.database.sql.transaction().execute(async (tx) => {
    // As a reconciliation, which writes of all that a registry has that it is there: no use.
    await sql`update ${sql.table(`inventory.${table}`)} set repository_id = repository_id`.execute(tx)
    settling = settleChecks(stores.database, new Date(NOW.getTime() + 3_600_000))
    await eventually('the row is waited for', isWaiting)
  })
  await settling
  const { rows } = await sql`
    select o.checked_at is not null as checked, l.settled
    from ${sql.table(`inventory.${table}`)} o, inventory.tag_lookups l
  `.execute(stores.database.sql)
  expect(rows).toEqual([{ checked: true, settled: true }])
  expect((await ask(stores.database.sql, lastUsed, { unused_for: '90d' }, NOW)).items).toEqual([])
})
