import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { lastReconciliations } from '../../../src/inventory/reconcile/reports.js'
import { scheduledReconcile } from '../../../src/inventory/reconcile/scheduled.js'
import { createRegistries } from '../../../src/registries/registries.js'
import { takeLease } from '../../../src/storage/sql/leases.js'
import { fixedClock } from '../../servers/clock.js'
import { openEmbeddedStores, type TestStores } from '../../servers/stores.js'
import { imageNamed, put, stubRegistry, type StubRegistry } from '../../servers/stub-registry.js'

let stores: TestStores
beforeAll(async () => {
  stores = await openEmbeddedStores()
})
afterAll(async () => stores.close())

test('a scheduled run reconciles each registry with an address, except unavailable and busy ones', async () => {
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
    { registry: 'away', finishedAt: null, stoppedBecause: 'it does not answer' },
    { registry: 'here', applied: true, drift: { missing: 3 } },
  ])
})

test('a registry whose answers do not end delays the others by one turn, and is left to the next time', async () => {
  const registries = createRegistries(() =>
    ['endless', 'other'].map((name) => ({ name, aliases: [], url: 'https://registry.example' })),
  )
  const turns: string[] = []
  let endTurn = (): void => undefined
  const clientFor = ({ name }: { name: string }): StubRegistry => {
    turns.push(name)
    const registry = stubRegistry()
    put(registry.repository('team/app'), imageNamed('a1', ['b1']), '1.0')
    let [pages, names] = [0, 0]
    if (name === 'other') return registry
    return {
      ...registry,
      catalog: async () => {
        // The time of the turn is over in the middle of its pages.
        if (++pages === 3) endTurn()
        return Promise.resolve({ names: [`team/app-${names++}`], next: 'more' })
      },
    }
  }
  const hours: number[] = []
  const after = (milliseconds: number, run: () => void): (() => void) => {
    hours.push(milliseconds / 3_600_000)
    endTurn = run
    return () => undefined
  }
  const { database } = stores
  const needs = { database, registries, clientFor, now: fixedClock, rate: 1_000, after }
  await expect(scheduledReconcile(needs, true)).rejects.toThrow(
    /^not reconciled: endless: it took longer than 15 h in all/,
  )
  expect(turns).toEqual(['endless', 'other', 'endless', 'endless', 'endless'])
  expect(hours).toEqual([1, 1, 2, 4, 8])
  const last = await lastReconciliations(database.sql)
  expect(last.find(({ registry }) => registry === 'other')?.finishedAt).toBeInstanceOf(Date)
  expect(last.find(({ registry }) => registry === 'endless')).toMatchObject({
    finishedAt: null,
    stoppedBecause: expect.stringMatching(/^it took longer than 15 h in all and is left to the next scheduled time/),
  })
})
