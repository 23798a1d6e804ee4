import { describe, expect, test } from '@jest/globals'
import { allNames } from '../../../src/inventory/reconcile/all-names.js'
import { createEntryBudget } from '../../../src/inventory/reconcile/entry-budget.js'
import { RegistryError } from '../../../src/registries/client/exchange.js'
import { ListTooLarge } from '../../../src/registries/client/list-pages.js'
import type { ListPage } from '../../../src/registries/client/registry-client.js'

/** Pages without an end, each as `page` makes it. */
const endless = (page: (number: number) => string[]): ((next?: string) => Promise<ListPage>) => {
  let number = 0
  return async () => Promise.resolve({ names: page(++number), next: String(number) })
}

describe('a list of a registry that does not end', () => {
  test.each<[string, (page: number) => string[]]>([
    ['500,000 names', (page) => Array.from({ length: 1_000 }, (_, i) => `${page}-${i}`)],
    ['67,108,864 characters', (page) => Array.from({ length: 1_000 }, (_, i) => `${page}-${i}`.padEnd(255, 'x'))],
    ['10,000 pages', (page) => [String(page)]],
    ['11 pages in a row without a new name', () => ['the', 'same']],
    ['11 pages in a row without a new name', () => []],
  ])('is read no further than %s', async (bound, page) => {
    const read = allNames('tags of team/app', endless(page))
    await expect(read).rejects.toThrow(ListTooLarge)
    await expect(read).rejects.toThrow(bound)
    await expect(read).rejects.toThrow('a list of tags of team/app')
    await expect(read).rejects.toThrow('delete unneeded items in the registry')
  })

  test('is read for two hours at most', async () => {
    let at = 0
    let pages = 0
    const page = endless((number) => {
      at += 10_000
      pages = number
      return [String(number)]
    })
    await expect(allNames('repositories', page, { now: () => at })).rejects.toThrow('more than 2 hours of pages')
    expect(pages).toBe(721)
  })

  test('is read whole if it ends at the bound', async () => {
    const names = Array.from({ length: 500_000 }, (_, i) => String(i))
    expect(await allNames('repositories', async () => Promise.resolve({ names }))).toHaveLength(500_000)
  })
})

test('a repository of a registry fills no more memory than there is room for', () => {
  const room = createEntryBudget('team/app')
  for (let i = 0; i < 20; i++) room.take(50_000)
  expect(() => {
    room.take(1)
  }).toThrow(RegistryError)
  expect(() => {
    room.take(1)
  }).toThrow(/more than 1,000,000 entries of manifests in team\/app/)
})
