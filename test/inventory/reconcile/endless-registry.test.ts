import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createRegistryClient } from '../../../src/registries/client/http-registry-client.js'
import { lastReconciliations, type ReconciliationReport } from '../../../src/inventory/reconcile/reports.js'
import { reconcile } from '../../../src/inventory/reconcile/reconcile.js'
import { createCounting } from '../../servers/counting.js'
import { fixedClock } from '../../servers/clock.js'
import { anEvent } from '../../servers/events.js'
import { liveIn } from '../../servers/inventory.js'
import { anImage, OCI_IMAGE } from '../../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'
import { startStub, type Stub } from '../../servers/stub.js'

const REGISTRY = 'registry.example'
const IMAGE = anImage('one')
const NOW = new Date('2026-11-18T11:00:00Z')
const NAMES_OF_PAGE = 10_000
/** What 500,000 names, and a page of them, may take, three times over. */
const MOST_HEAP_GROWTH = 400 * 1024 * 1024

describe.each(STORE_PAIRS)('a registry whose lists do not end, on %s', (_, open) => {
  let stores: TestStores
  let registry: Stub
  let endless: 'catalog' | 'tags'
  let pages = 0
  let mostHeap = 0

  beforeAll(async () => {
    stores = await open()
    registry = await startStub(({ path }, response) => {
      mostHeap = Math.max(mostHeap, process.memoryUsage().heapUsed)
      const [where = ''] = path.split('?')
      if (where === '/v2/_catalog' && endless === 'catalog') page('repositories', response)
      else if (where === '/v2/_catalog') response.end('{"repositories":["team/app"]}')
      else if (where === '/v2/team/app/tags/list' && endless === 'tags') page('tags', response)
      else if (where === '/v2/team/app/tags/list') response.end('{"tags":["1.0"]}')
      else if (where.startsWith('/v2/team/app/')) {
        const headers = { 'docker-content-digest': IMAGE.digest, 'content-type': OCI_IMAGE }
        response.writeHead(200, headers).end(IMAGE.bytes)
      } else response.writeHead(404).end('{"errors":[{"code":"NAME_UNKNOWN"}]}')
    })
  })
  afterAll(async () => {
    await registry.stop()
    await stores.close()
  })
  beforeEach(async () => {
    await stores.clear()
    registry.requests.length = 0
    pages = 0
    const event = { at: '2026-11-18T10:00:00Z', registry: REGISTRY, mediaType: OCI_IMAGE, object: 'manifest' } as const
    await createCounting(stores, () => NOW).ingest([
      anEvent({ ...event, id: 1, repository: 'team/app', tag: '1.0', digest: IMAGE.digest }),
      anEvent({ ...event, id: 2, repository: 'team/unlisted', tag: '1.0', digest: IMAGE.digest }),
    ])
  })

  const page = (list: string, response: ServerResponse): void => {
    const name = `n${++pages}`
    const names = Array.from({ length: NAMES_OF_PAGE }, (_unused, i) => `${name}-${i}`)
    response.writeHead(200, { link: `</v2/x?last=${name}>; rel="next"` }).end(JSON.stringify({ [list]: names }))
  }
  const run = async (cache: boolean): Promise<ReconciliationReport> => {
    const client = createRegistryClient(
      { name: REGISTRY, aliases: [], url: registry.url },
      { userAgent: 'x', now: fixedClock },
    )
    return reconcile(
      { database: stores.database, client, now: () => NOW },
      { registry: REGISTRY, apply: true, rate: 1e6, cache, blobChecks: 'none' },
    )
  }
  const askedRepositories = (): Set<string | undefined> =>
    new Set(registry.requests.flatMap(({ path }) => /^\/v2\/(.+)\/tags\/list/.exec(path)?.[1] ?? []))

  test('is only partly read if it is the catalog: what the inventory contains is compared, and the result says so', async () => {
    endless = 'catalog'
    const before = process.memoryUsage().heapUsed
    const report = await run(false)
    expect(report.catalogError).toMatch(
      /^the registry answers a list of repositories with more than 500,000 names, so the rest is not read/,
    )
    expect(pages).toBe(51)
    expect(askedRepositories()).toEqual(new Set(['team/app', 'team/unlisted']))
    expect(await lastReconciliations(stores.database.sql)).toMatchObject([{ catalogError: report.catalogError }])
    expect(mostHeap - before).toBeLessThan(MOST_HEAP_GROWTH)
  })

  test('is only partly read if it is the catalog of a pull-through cache: nothing is taken for absent', async () => {
    endless = 'catalog'
    const live = await liveIn(stores.database, REGISTRY)
    const report = await run(true)
    expect(report).toMatchObject({
      drift: { missing: 0, stale: 0, different: 0 },
      notChecked: { repositories: 2, tags: 2 },
    })
    expect(report.catalogError).toContain('more than 500,000 names')
    expect(await liveIn(stores.database, REGISTRY)).toEqual(live)
  })

  test('keeps what the inventory has of the repository whose tags they are', async () => {
    endless = 'tags'
    const { [`team/app`]: live } = await liveIn(stores.database, REGISTRY)
    const report = await run(false)
    expect(report).toMatchObject({ failed: 1, failures: [{ repository: 'team/app' }] })
    expect(report.failures[0]?.error).toContain('a list of tags of team/app with more than 500,000 names')
    expect(report.catalogError).toBeUndefined()
    expect((await liveIn(stores.database, REGISTRY))['team/app']).toEqual(live)
  })
})
