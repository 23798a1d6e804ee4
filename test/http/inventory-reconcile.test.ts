import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import express from 'express'
import { reconcileRoutes, type ReconcileLine } from '../../src/http/inventory-reconcile.js'
import { createRegistries } from '../../src/registries/registries.js'
import { fixedClock } from '../servers/clock.js'
import { openEmbeddedStores, type TestStores } from '../servers/stores.js'
import { imageNamed, put, stubRegistry } from '../servers/stub-registry.js'

let stores: TestStores
let server: Server
beforeAll(async () => {
  stores = await openEmbeddedStores()
  const registry = stubRegistry()
  put(registry.repository('team/app'), imageNamed('a1', ['b1']), '1.0')
  const slowly =
    <Asked extends unknown[], Answer>(ask: (...asked: Asked) => Promise<Answer>) =>
    async (...asked: Asked): Promise<Answer> => {
      await sleep(300)
      return ask(...asked)
    }
  const slow = { ...registry, catalog: slowly(registry.catalog), tags: slowly(registry.tags) }
  const routes = reconcileRoutes({
    database: stores.database,
    registries: createRegistries(() => [{ name: 'registry.example', aliases: [], url: 'http://registry.example' }]),
    clientFor: () => slow,
    now: fixedClock,
    silenceMs: 50,
  })
  server = createServer(express().use(routes))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterAll(async () => {
  server.close()
  await stores.close()
})

test('a run that takes long repeats its progress, before its first step as well', async () => {
  const { port } = server.address() as AddressInfo
  const response = await fetch(`http://127.0.0.1:${port}/inventory/reconcile`, { method: 'POST' })
  const lines = (await response.text())
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as ReconcileLine)
  const repositories = lines.flatMap((line) => ('progress' in line ? [line.progress.repository] : []))
  expect(repositories.filter((repository) => repository === '').length).toBeGreaterThan(2)
  expect(repositories.filter((repository) => repository === 'team/app').length).toBeGreaterThan(2)
  expect(lines.at(-1)).toMatchObject({ result: { drift: { missing: 3 } } })
})
