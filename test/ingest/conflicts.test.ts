import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { RegistryEvent } from '../../src/events/registry-event.js'
import type { Transaction } from '../../src/storage/sql/database.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'
import { digestNamed } from '../servers/stub-registry.js'

describe.each(STORE_PAIRS)('a transaction of a batch that fails, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const push = (id: number, repository: string): RegistryEvent =>
    anEvent({ id, repository, action: 'push', object: 'manifest', digest: digestNamed('a1'), tag: '1.0' })

  /** The stores; what is known of manifests is first compared in vain, as often as there are codes of errors. */
  const failing = (codes: string[]): TestStores => {
    const { database } = stores
    const failingIn = (tx: Transaction): Transaction => ({
      ...tx,
      run: async (statement, values) => {
        const code = statement.name === 'lock_manifests' ? codes.shift() : undefined
        if (code !== undefined)
          await sql.raw(`do $$ begin raise exception using errcode = '${code}'; end $$`).execute(tx)
        return tx.run(statement, values)
      },
    })
    const transaction: typeof database.transaction = async (work) =>
      database.transaction(async (tx) => work(failingIn(tx)))
    return { ...stores, database: { ...database, transaction } }
  }

  test.each([
    ['a deadlock', ['40P01']],
    ['deadlocks', ['40P01', '40P01']],
    ['contents that cannot be stored, which splits the batch', ['22003']],
    ['contents, and a deadlock', ['22003', '40P01']],
  ])('after %s, each event has the outcome of its first attempt', async (__, codes) => {
    await createCounting(stores).ingest([push(1, 'team/other')])
    const codesLeft = [...codes]
    const { ingest } = createCounting(failing(codesLeft))
    const events = [push(1, 'team/other'), push(2, 'team/app'), push(3, 'team/web'), push(2, 'team/app')]
    expect(await ingest(events)).toEqual(['repeated', 'recorded', 'recorded', 'repeated'])
    expect(codesLeft).toEqual([])
    expect(await ingest(events)).toEqual(events.map(() => 'repeated'))
  })
})
