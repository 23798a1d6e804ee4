import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { readConfig } from '../../src/config/config.js'
import { createApp, type App } from '../../src/service/app.js'
import { createLog } from '../../src/service/log.js'
import { notified } from '../servers/app.js'
import { digestOf } from '../servers/history.js'
import { OCI_CONFIG, OCI_IMAGE } from '../servers/manifests.js'
import { API_TOKEN, NOTIFICATION_TOKEN, ROOT } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

const DAY = 86_400_000
const NOW = Date.parse('2026-11-27T12:00:00Z')
/** Less than the seven days without an event after which a registry counts as silent. */
const STEP = 5 * DAY
const LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'

let folder: ReturnType<typeof embeddedFolder>
let app: App
let now: number
beforeEach(async () => {
  now = NOW - 40 * STEP
  folder = embeddedFolder()
  const config = readConfig(
    {
      TALLYMAN_DATA_DIR: folder.path,
      TALLYMAN_NOTIFICATION_TOKENS: NOTIFICATION_TOKEN,
      TALLYMAN_API_TOKENS: API_TOKEN,
    },
    ROOT,
  )
  const log = createLog('silent', { write: () => undefined })
  app = await createApp(config, log, () => new Date(now))
  await new Promise<void>((resolve) => app.http.listen(0, '127.0.0.1', resolve))
})
afterEach(async () => {
  app.http.close()
  app.http.closeAllConnections()
  await app.close()
  folder.remove()
})

const call = async (path: string, options: RequestInit = {}, token = API_TOKEN): Promise<unknown> => {
  const url = `http://127.0.0.1:${(app.http.address() as AddressInfo).port}${path}`
  return (await fetch(url, { ...options, headers: { authorization: `Bearer ${token}` } })).json()
}
const post = async (...events: object[]): Promise<unknown> =>
  call('/container_registry_event/events', { method: 'POST', body: JSON.stringify({ events }) }, NOTIFICATION_TOKEN)
const offered = async (path: string): Promise<unknown> => ((await call(path)) as { items: unknown[] }).items

const OF_A_REPLICA = { source: { instanceID: 'a' }, request: { host: 'registry.example.com', method: 'GET' } }
/** An event of one replica of a registry. */
const byA = (action: string, target: object): object => ({
  ...notified({ timestamp: new Date(now).toISOString(), action, target: { repository: 'team/app', ...target } }),
  ...OF_A_REPLICA,
})
/** An event of another replica, whose clock is two days ahead. */
const byB = (action: string, target: object): object => ({
  ...byA(action, target),
  timestamp: new Date(now + 2 * DAY).toISOString(),
  source: { instanceID: 'b' },
})
const imageOf = (name: string): object => ({
  ...{ digest: digestOf(name), mediaType: OCI_IMAGE, size: 500 },
  references: [
    { digest: digestOf(`c${name}`), mediaType: OCI_CONFIG, size: 10 },
    { digest: digestOf(`b${name}`), mediaType: LAYER, size: 10 },
  ],
})
const blobOf = (name: string): object => {
  const digest = digestOf(name)
  const url = `https://registry.example.com/v2/team/app/blobs/${digest}`
  return { digest, mediaType: 'application/octet-stream', size: 10, url }
}

test('an image of which all pulls were set aside is not offered for clean-up', async () => {
  await post(
    byA('push', { ...imageOf('a1'), tag: 'used' }),
    byA('push', { ...imageOf('a2'), tag: 'other' }),
    byA('push', imageOf('a3')),
  )
  for (; now <= NOW; now += STEP) {
    const report = await post(
      byA('pull', { ...imageOf('a2'), tag: 'other' }),
      byB('pull', { ...imageOf('a1'), tag: 'used' }),
      byB('pull', imageOf('a3')),
    )
    expect(report).toEqual({ recorded: 1, repeated: 0, skipped: { timestamp_in_future: 2 } })
  }
  await call('/status')
  for (const path of ['/inventory/unused-images?unused_for=90d', '/pulls/last-used?unused_for=90d'])
    expect([path, await offered(path)]).toEqual([path, []])
  expect(await offered('/inventory/untagged-manifests')).toEqual([])
  const { rows } = await sql`select instance from registry_processes`.execute(app.core.stores.database.sql)
  expect(rows).toEqual([{ instance: 'a' }])
})

test('blobs of an image whose push was set aside are not offered for clean-up, even long after it', async () => {
  now = NOW - 20 * STEP
  await post(byA('push', { ...imageOf('a2'), tag: 'other' }), byA('push', blobOf('ca1')), byA('push', blobOf('ba1')))
  await post(byB('push', { ...imageOf('a1'), tag: 'new' }))
  for (; now <= NOW; now += STEP) await post(byA('pull', { ...imageOf('a2'), tag: 'other' }))
  await call('/status')
  await call('/inventory/summary', { method: 'POST' })
  expect(await offered('/inventory/orphaned-blobs')).toEqual([])
})
