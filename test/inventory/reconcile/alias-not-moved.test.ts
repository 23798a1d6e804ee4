import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { reconcileRegistry } from '../../../src/inventory/reconcile/reconcile-registry.js'
import { scheduledReconcile } from '../../../src/inventory/reconcile/scheduled.js'
import { mergeAliases } from '../../../src/inventory/record/merge-aliases.js'
import { createRegistries } from '../../../src/registries/registries.js'
import { fixedClock } from '../../servers/clock.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { liveIn } from '../../servers/inventory.js'
import { openEmbeddedStores, type TestStores } from '../../servers/stores.js'
import { imageNamed, put, stubRegistry } from '../../servers/stub-registry.js'

let stores: TestStores
beforeAll(async () => {
  stores = await openEmbeddedStores()
})
afterAll(async () => stores.close())

test('a registry is not reconciled before the inventory of its alias has moved to it', async () => {
  const asked = { name: 'registry.example', aliases: ['127.0.0.1:5702'], url: 'http://127.0.0.1:5702' }
  const registries = createRegistries(() => [asked])
  const { database } = stores
  const image = imageNamed('a1', ['b1'])
  const client = stubRegistry()
  put(client.repository('team/app'), image, '1.0')
  await createCounting(stores).ingest([
    anEvent({ id: 1, registry: '127.0.0.1:5702', tag: '1.0', digest: image.digest, object: 'manifest' }),
  ])
  const deps = { database, registries, client, now: fixedClock }
  await expect(reconcileRegistry(deps, asked, { apply: true, rate: 1_000 })).rejects.toThrow(
    'the inventory of 127.0.0.1:5702 has not moved to registry.example yet',
  )
  const needs = { database, registries, clientFor: () => client, now: fixedClock, rate: 1_000 }
  expect(await scheduledReconcile(needs, true)).toBe('later')
  expect(await liveIn(database, 'registry.example')).toEqual({})

  await mergeAliases(database, registries.aliases())
  expect(await scheduledReconcile(needs, true)).toBe('done')
  expect(await liveIn(database, 'registry.example')).toMatchObject({ 'team/app': { tags: { '1.0': image.digest } } })
})
