import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { createApp } from '../../src/service/app.js'
import { readConfig } from '../../src/config/config.js'
import { createLog } from '../../src/service/log.js'
import { fixedClock } from '../servers/clock.js'
import { temporaryFolder } from '../servers/process.js'
import { ROOT } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'
import { tallyman } from '../servers/tallyman.js'

const exporter = embeddedFolder()
const files = temporaryFolder('exports')
const exported = join(files.path, 'exp.ndjson')

beforeAll(async () => {
  const made = await tallyman({ TALLYMAN_DATA_DIR: exporter.path }, 'counters', 'export', exported)
  expect(made.code).toBe(0)
})
afterAll(() => {
  exporter.remove()
  files.remove()
})

const copyKeyTo = (directory: string): void => {
  writeFileSync(join(directory, 'users.key'), readFileSync(join(exporter.path, 'users.key')))
}

const importTwice = async (environment: Record<string, string> & { TALLYMAN_DATA_DIR: string }): Promise<void> => {
  const refused = await tallyman(environment, 'counters', 'import', exported)
  expect(refused).toMatchObject({ code: 1, err: expect.stringContaining('copy users.key from the data directory') })
  copyKeyTo(environment.TALLYMAN_DATA_DIR)
  expect(await tallyman(environment, 'counters', 'import', exported)).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^imported /),
    err: '',
  })
  rmSync(join(environment.TALLYMAN_DATA_DIR, 'users.key'))
  expect(await tallyman(environment, 'counters', 'import', exported)).toMatchObject({
    code: 1,
    err: expect.stringContaining('counted with another key in this database'),
  })
}

test('an import that was refused for its users key goes through when the key is copied, as the advice says', async () => {
  const folder = embeddedFolder()
  await importTwice({ TALLYMAN_DATA_DIR: folder.path })
  folder.remove()
})

test('with Redis and PostgreSQL, too', async () => {
  const [folder, servers] = [temporaryFolder('data'), await openServers()]
  await importTwice({ TALLYMAN_DATA_DIR: folder.path, ...servers.environment })
  expect(readdirSync(folder.path)).not.toContain('users.key')
  folder.remove()
  await servers.close()
})

test('a service that counted nothing does not keep its key either', async () => {
  const folder = embeddedFolder()
  const environment = { TALLYMAN_DATA_DIR: folder.path }
  const config = readConfig({ ...environment, TALLYMAN_LISTEN: '127.0.0.1:0' }, ROOT)
  const app = await createApp(config, createLog('silent', { write: () => undefined }), fixedClock)
  await app.close()
  copyKeyTo(folder.path)
  expect(await tallyman(environment, 'counters', 'import', exported)).toMatchObject({ code: 0, err: '' })
  folder.remove()
})
