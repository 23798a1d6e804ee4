import { createHash } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { createRegistryClient } from '../../../src/registries/client/http-registry-client.js'
import { RegistryBusy } from '../../../src/registries/client/exchange.js'
import { reconcile, type Progress } from '../../../src/inventory/reconcile/reconcile.js'
import type { ReconciliationReport } from '../../../src/inventory/reconcile/reports.js'
import { openEmbeddedStores, type TestStores } from '../../servers/stores.js'
import { startStub, type Stub, type StubRequest } from '../../servers/stub.js'

const NOW = new Date('2026-11-18T11:00:00Z')
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const sha = (text: string): string => `sha256:${createHash('sha256').update(text).digest('hex')}`
const CONFIG = JSON.stringify({ os: 'linux', architecture: 'arm64' })
const LAYER = 'a layer'
const IMAGE = JSON.stringify({
  schemaVersion: 2,
  mediaType: MANIFEST,
  config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: sha(CONFIG), size: CONFIG.length },
  layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: sha(LAYER), size: LAYER.length }],
})

let stores: TestStores
let stub: Stub
/** Requests that are refused once each, by a part of method and path, and how. */
let refusals: Map<string, { status: number; headers: Record<string, string> }>
beforeAll(async () => {
  stores = await openEmbeddedStores()
})
afterAll(async () => stores.close())
beforeEach(async () => {
  await stores.clear()
  refusals = new Map()
  stub = await startStub(answer)
})
afterEach(async () => stub.stop())

/** A registry with one image, and its token service; pages of the catalog and of the tags have one name. */
const answer = ({ method, path, headers }: StubRequest, response: ServerResponse): void => {
  const request = `${method} ${path}`
  const refused = [...refusals].find(([part]) => request.includes(part))
  const send = (status: number, body: string, more: Record<string, string> = {}): void => {
    response.writeHead(status, more).end(method === 'HEAD' ? '' : body)
  }
  if (refused) {
    refusals.delete(refused[0])
    send(refused[1].status, '{"errors":[{"code":"TOOMANYREQUESTS"}]}', refused[1].headers)
  } else if (path.startsWith('/token')) send(200, '{"token":"t"}')
  else if (headers.authorization === undefined)
    send(401, '{}', { 'www-authenticate': `Bearer realm="${stub.url}/token",service="s"` })
  else if (path.startsWith('/v2/_catalog?n=1000&last=')) send(200, '{"repositories":["team/two"]}')
  else if (path.startsWith('/v2/_catalog'))
    send(200, '{"repositories":["team/one"]}', { link: '</v2/_catalog?last=team%2Fone&n=1>; rel="next"' })
  else if (path.includes('/tags/list?n=1000&last=')) send(200, '{"tags":["b"]}')
  else if (path.includes('/tags/list'))
    send(200, '{"tags":["a"]}', { link: '</v2/x/tags/list?last=a&n=1>; rel="next"' })
  else if (path.includes('/manifests/'))
    send(200, IMAGE, { 'content-type': MANIFEST, 'docker-content-digest': sha(IMAGE) })
  else if (path.endsWith(sha(CONFIG))) send(200, CONFIG)
  else send(200, LAYER)
}

const run = async (onProgress: (progress: Progress) => void = () => undefined): Promise<ReconciliationReport> => {
  let time = 0
  const client = createRegistryClient(
    { name: 'registry.example', aliases: [], url: stub.url },
    { userAgent: 'Tallyman/test', now: () => NOW },
  )
  const timing = {
    now: () => time,
    random: () => 1,
    sleep: async (ms: number) => {
      time += ms
      return Promise.resolve()
    },
  }
  return reconcile(
    { database: stores.database, client, now: () => NOW, toleranceMs: 0, timing },
    { registry: 'registry.example', apply: true, rate: 1_000, blobChecks: 'all', onProgress },
  )
}

const COMPLETE = {
  repositories: 2,
  tags: 4,
  manifests: 2,
  blobs: 4,
  failed: 0,
  drift: { missing: 10, stale: 0, different: 0 },
}

describe('a reconciliation is asked to slow down', () => {
  test.each([
    ['by the catalog', 'GET /v2/_catalog?n'],
    ['by the second page of the catalog', 'GET /v2/_catalog?n=1000&last'],
    ['by a list of tags', 'GET /v2/team/one/tags/list?n'],
    ['by the second page of tags', 'GET /v2/team/two/tags/list?n=1000&last'],
    ['by a tag', 'HEAD /v2/team/one/manifests/a'],
    ['by a manifest', `GET /v2/team/one/manifests/${sha(IMAGE)}`],
    ['by the config of an image', `GET /v2/team/one/blobs/${sha(CONFIG)}`],
    ['by a blob', `HEAD /v2/team/two/blobs/${sha(LAYER)}`],
    ['by the token service', 'GET /token'],
  ])('%s, and continues after the pause', async (_, part) => {
    for (const [status, headers] of [
      [429, { 'retry-after': '30' }],
      [429, {}],
      [429, { 'retry-after': new Date(NOW.getTime() + 20_000).toUTCString() }],
      [503, { 'retry-after': '2' }],
    ] as const) {
      await stores.clear()
      refusals.set(part, { status, headers: { ...headers } })
      const paused: number[] = []
      expect(await run(({ pausedSeconds }) => pausedSeconds !== undefined && paused.push(pausedSeconds))).toMatchObject(
        COMPLETE,
      )
      expect(refusals.size).toBe(0)
      expect(paused[0]).toBe(
        'retry-after' in headers ? (headers['retry-after'].length > 2 ? 20 : Number(headers['retry-after'])) : 1,
      )
    }
  })

  test('for an hour: it ends, and the next run continues where it stopped', async () => {
    refusals.set('GET /v2/team/two/tags', { status: 429, headers: { 'retry-after': '3600' } })
    await expect(run()).rejects.toThrow(RegistryBusy)
    const before = stub.requests.length
    expect(await run()).toMatchObject(COMPLETE)
    expect(stub.requests.slice(before).filter(({ path }) => path.includes('/team/one/'))).toEqual([])
  })
})
