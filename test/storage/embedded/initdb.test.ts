import { spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { createDatabaseFiles } from '../../../src/storage/embedded/initdb.js'
import { eventually, inherited, startProcess, temporaryFolder } from '../../servers/process.js'
import { processesWith } from '../../servers/process-table.js'
import { NOTIFICATION_TOKEN, SERVE, startService } from '../../servers/service.js'

let folder: ReturnType<typeof temporaryFolder>
beforeEach(() => {
  folder = temporaryFolder('initdb')
})
afterEach(() => {
  folder.remove()
})
const draft = (): string => join(folder.path, 'db.new-')

const creatorBegins = async (): Promise<number[]> => {
  let found: number[] = []
  await eventually('a process creates the database', async () => {
    found = processesWith(draft())
    return Promise.resolve(found.length > 0)
  })
  return found
}

test('a creation that is killed, as for want of memory, says so', async () => {
  const creating = createDatabaseFiles(join(folder.path, 'db'))
  creating.catch(() => undefined)
  for (const pid of await creatorBegins()) process.kill(pid, 'SIGKILL')
  await expect(creating).rejects.toThrow(/the process was killed \(SIGKILL\); it needs about \d+ MB of memory/)
  expect(readdirSync(folder.path)).toEqual([])
})

test('a draft that another process still writes into keeps no start from creating the database', async () => {
  mkdirSync(`${draft()}1`)
  writeFileSync(join(`${draft()}1`, 'file'), '')
  const write = 'for (let n = 0; ; n++) require("fs").writeFileSync(process.argv[1] + n, "")'
  const writer = spawn(process.execPath, ['-e', write, join(`${draft()}1`, 'file')], { stdio: 'ignore' })
  const ended = new Promise((resolve) => writer.once('exit', resolve))
  await eventually('files are written', async () => Promise.resolve(readdirSync(`${draft()}1`).length > 100))
  await createDatabaseFiles(join(folder.path, 'db'))
  writer.kill('SIGKILL')
  await ended
  expect(existsSync(join(folder.path, 'db', 'PG_VERSION'))).toBe(true)
})

test.each(['SIGTERM', 'SIGKILL'] as const)(
  'a first start that ends by %s ends the creation with it, and the next start works',
  async (signal) => {
    const [command, ...args] = SERVE
    const env = {
      ...inherited(),
      TALLYMAN_DATA_DIR: folder.path,
      TALLYMAN_NOTIFICATION_TOKENS: NOTIFICATION_TOKEN,
      TALLYMAN_LISTEN: '127.0.0.1:0',
    }
    const first = startProcess(command, args, { cwd: folder.path, env })
    const creators = await creatorBegins()
    await first.end(signal)
    await eventually('the creation ends', async () => Promise.resolve(processesWith(draft()).length === 0), 20)
    expect(creators).not.toEqual([])
    const next = await startService(folder.path)
    expect(await next.process.end('SIGTERM')).toBe(0)
    expect(readdirSync(folder.path).filter((name) => name.startsWith('db'))).toEqual(['db'])
  },
)
