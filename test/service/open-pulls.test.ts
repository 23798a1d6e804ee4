import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { readConfig } from '../../src/config/config.js'
import { requestOf } from '../../src/events/registry-request.js'
import { createCore, type Core } from '../../src/service/core.js'
import { openPulls } from '../../src/service/open-pulls.js'
import type { PendingRequest } from '../../src/pulls/requests/pending.js'
import { anEvent } from '../servers/events.js'
import { ROOT } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

const LATENESS_SECONDS = 600
let now = new Date('2026-11-30T23:00:00Z')
let folder: ReturnType<typeof embeddedFolder>
let core: Core

// Without the jobs of a service, which change salts too.
beforeAll(async () => {
  folder = embeddedFolder()
  const settings = { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_PULLS_LATENESS_SECONDS: String(LATENESS_SECONDS) }
  core = await createCore(readConfig(settings, ROOT), () => now)
})
afterAll(async () => {
  await core.stores.close()
  folder.remove()
})

test('the origin of a pull is known for as long as its blobs may come, across the change of the salt', async () => {
  const { pendingOf, rotateSalts } = await openPulls(core, core.stores.database)
  const requestAt = async (time: string): Promise<PendingRequest | undefined> => {
    now = new Date(time)
    await rotateSalts()
    const pull = anEvent({ action: 'pull', at: now.toISOString(), object: 'blob', address: '192.0.2.1' })
    const request = requestOf(pull)
    return request && pendingOf(request)
  }
  const begun = await requestAt('2026-11-30T23:50:00Z')
  for (const time of ['2026-12-01T00:15:00Z', '2026-12-01T01:00:00Z', '2026-12-01T05:50:00Z'])
    expect(await requestAt(time)).toMatchObject({ previous: begun?.origin })
  expect((await requestAt('2026-12-01T06:11:00Z'))?.previous).toBeUndefined()
  expect(readdirSync(join(core.config.data_dir, 'salts')).sort()).toEqual(['monthly-2026-12-01', 'monthly-2027-01-01'])
})
