import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { lastReconciliations } from '../../../src/inventory/reconcile/reports.js'
import { scheduledReconcile } from '../../../src/inventory/reconcile/scheduled.js'
import { createRegistries } from '../../../src/inventory/registry/registries.js'
import { takeLease } from '../../../src/storage/leases.js'
import { fixedClock } from '../../servers/clock.js'
import { openEmbeddedStores, type TestStores } from '../../servers/stores.js'
import { imageNamed, put, stubRegistry, type StubRegistry } from '../../servers/stub-registry.js'

let stores: TestStores
beforeAll(async () => {
  stores = await openEmbeddedStores()
})
afterAll(async () => stores.close())

test('a scheduled run asks each registry with an address, but those that are away or busy', async () => {
  const url = 'https://registry.example'
  const named = (name: string): { name: string; aliases: string[]; url: string } => ({ name, aliases: [], url })
  const registries = createRegistries(() => [
    named('away'),
    named('busy'),
    named('here'),
    { name: 'unasked', aliases: [] },
  ])
  const asked: string[] = []
  const clientFor = ({ name }: { name: string }): StubRegistry => {
    asked.push(name)
    const registry = stubRegistry(10, () => {
      if (name === 'away') throw new Error('it does not answer')
    })
    put(registry.repository('team/app'), imageNamed('a1', ['b1']), '1.0')
    return registry
  }
  const { database } = stores
  await takeLease(database, 'reconcile busy', 'somebody else', 60)
  const needs = { database, registries, clientFor, now: fixedClock, rate: 1_000 }
  await expect(scheduledReconcile(needs, true)).rejects.toThrow('not reconciled: away: it does not answer')
  expect(asked).toEqual(['away', 'busy', 'here'])
  const last = await lastReconciliations(database.sql)
  expect(last[1]?.finishedAt).toBeInstanceOf(Date)
  expect(last).toMatchObject([
    { registry: 'away', finishedAt: null },
    { registry: 'here', applied: true, drift: { missing: 3 } },
  ])
})
