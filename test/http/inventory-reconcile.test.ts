import { createServer, type Server } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import express, { type RequestHandler } from 'express'
import { reconcileRoutes, type ReconcileLine } from '../../src/http/inventory-reconcile.js'
import type { RegistryClient } from '../../src/registries/client/registry-client.js'
import { createRegistries } from '../../src/registries/registries.js'
import { fixedClock } from '../servers/clock.js'
import { eventually } from '../servers/process.js'
import { openEmbeddedStores, type TestStores } from '../servers/stores.js'
import { imageNamed, put, stubRegistry } from '../servers/stub-registry.js'

let stores: TestStores
let server: Server

/** Serves the route for one registry. @param before is called with each request before the route */
const serve = async (registry: RegistryClient, silenceMs: number, before: RequestHandler[] = []): Promise<Server> => {
  const routes = reconcileRoutes({
    database: stores.database,
    registries: createRegistries(() => [{ name: 'registry.example', aliases: [], url: 'http://registry.example' }]),
    clientFor: () => registry,
    now: fixedClock,
    silenceMs,
  })
  const listening = createServer(express().use(...before, routes))
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  return listening
}

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
  server = await serve({ ...registry, catalog: slowly(registry.catalog), tags: slowly(registry.tags) }, 50)
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

test('a client that does not read makes no progress pile up, and gets the result when it reads again', async () => {
  const registry = stubRegistry()
  put(registry.repository('team/app'), imageNamed('a1', ['b1']), '1.0')
  let goOn = (): void => undefined
  const isWaiting = new Promise<void>((resolve) => (goOn = resolve))
  const catalog: RegistryClient['catalog'] = async (...asked) => {
    await isWaiting
    return registry.catalog(...asked)
  }
  let socket: Socket | undefined
  // A corked socket sends nothing, as if the client's buffers were full.
  const cork: RequestHandler = (request, _response, next) => {
    socket = request.socket
    socket.cork()
    next()
  }
  const unread = (): number => socket?.writableLength ?? 0
  const corked = await serve({ ...registry, catalog }, 1, [cork])
  const { port } = corked.address() as AddressInfo
  const answer = fetch(`http://127.0.0.1:${port}/inventory/reconcile`, { method: 'POST' })
  await eventually('the response is full', async () => Promise.resolve(socket?.writableNeedDrain === true))
  const full = unread()
  await sleep(200)
  expect(unread()).toBe(full)
  goOn()
  await eventually('the result is written', async () => Promise.resolve(unread() > full))
  socket?.uncork()
  const lines = (await (await answer).text()).trim().split('\n')
  expect(JSON.parse(lines.at(-1) ?? '')).toHaveProperty('result.registry', 'registry.example')
  corked.close()
})
