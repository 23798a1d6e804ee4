import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readSync, truncateSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { notified } from '../servers/app.js'
import {
  eventually,
  freePort,
  inherited,
  startProcess,
  temporaryFolder,
  type RunningProcess,
} from '../servers/process.js'
import { API_TOKEN, NOTIFICATION_TOKEN, SERVE } from '../servers/service.js'
import { createSmallDisk, whyNoSmallDisk } from '../servers/small-disk.js'
import { embeddedFolder } from '../servers/stores.js'

const noDisk = whyNoSmallDisk()
if (noDisk !== undefined) console.warn(`A full disk under standard output is not tested here: ${noDisk}`)

/** A service is blocked if it does not answer within this time. */
const ANSWER_MS = 5_000

let data: ReturnType<typeof embeddedFolder>
let folder: ReturnType<typeof temporaryFolder>
let running: RunningProcess | undefined
let url = ''
beforeEach(() => {
  data = embeddedFolder()
  folder = temporaryFolder('output')
})
afterEach(async () => {
  await running?.end('SIGKILL')
  running = undefined
  data.remove()
  folder.remove()
})

const ask = async (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(`${url}${path}`, {
    headers: { authorization: `Bearer ${API_TOKEN}` },
    signal: AbortSignal.timeout(ANSWER_MS),
    ...init,
  })

/** Starts the built service with these file descriptors, and waits until it answers. */
const start = async (stdout: number, stderr: number | 'pipe' = 'pipe'): Promise<RunningProcess> => {
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  const [command, ...args] = SERVE
  const service = (running = startProcess(command, args, {
    cwd: data.path,
    env: {
      ...inherited(),
      TALLYMAN_DATA_DIR: data.path,
      TALLYMAN_LISTEN: `127.0.0.1:${port}`,
      TALLYMAN_NOTIFICATION_TOKENS: NOTIFICATION_TOKEN,
      TALLYMAN_API_TOKENS: API_TOKEN,
    },
    stdio: ['ignore', stdout, stderr],
  }))
  const hasEnded = (): boolean => service.child.exitCode !== null || service.child.signalCode !== null
  await eventually('the service is ready', async () => hasEnded() || (await ask('/readyz')).ok)
  if (hasEnded())
    throw new Error(`the service ended (${service.child.signalCode ?? service.child.exitCode}): ${service.output()}`)
  return service
}

const notify = async (): Promise<number> => {
  const headers = { authorization: `Bearer ${NOTIFICATION_TOKEN}`, 'content-type': 'application/json' }
  const body = JSON.stringify({ events: [notified()] })
  return (await ask('/container_registry_event/events', { method: 'POST', headers, body })).status
}

const countDropped = async (): Promise<number> => {
  const [, count] = /^tallyman_dropped_log_lines_total (\d+)$/m.exec(await (await ask('/metrics')).text()) ?? []
  return Number(count)
}

const readWarnings = async (): Promise<string> =>
  ((await (await ask('/status')).json()) as { warnings: string[] }).warnings.join('\n')

/** Makes the service write a line to its log. */
const writeLine = async (service: RunningProcess): Promise<void> => {
  service.child.kill('SIGHUP')
  await new Promise((resolve) => setTimeout(resolve, 20))
}

const expectToWork = async (service: RunningProcess): Promise<void> => {
  for (let i = 0; i < 5; i++) await writeLine(service)
  expect((await ask('/healthz')).status).toBe(200)
  expect(await notify()).toBe(200)
}

const dropLines = async (service: RunningProcess): Promise<void> =>
  eventually(
    'lines are dropped',
    async () => {
      await writeLine(service)
      return (await countDropped()) > 0
    },
    60,
  )

const expectDropped = async (service: RunningProcess, reason: string): Promise<void> => {
  await expectToWork(service)
  expect(await countDropped()).toBeGreaterThan(0)
  expect(await readWarnings()).toMatch(/lines of the log were dropped.*standard output could not be written/)
  expect(await readWarnings()).toContain(reason)
  expect(await service.end()).toBe(0)
}

/** A FIFO that this test can open for reading, for writing, or for both. */
const createPipe = (): { open: (mode: number) => number } => {
  const path = join(folder.path, 'pipe')
  execFileSync('mkfifo', [path])
  return { open: (mode) => openSync(path, mode | constants.O_NONBLOCK) }
}

/** Writes until the pipe has no room. */
const fill = (pipe: number): void => {
  for (const size of [4_096, 1]) {
    try {
      for (;;) writeSync(pipe, Buffer.alloc(size, '\n'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
    }
  }
}

/** The reader has a description of its own, because the service changes the mode of the other one. */
const createFullPipe = (): { reader: number; writer: number } => {
  const pipe = createPipe()
  const reader = pipe.open(constants.O_RDWR)
  fill(reader)
  return { reader, writer: pipe.open(constants.O_WRONLY) }
}

const readAll = (pipe: number): string => {
  const chunk = Buffer.alloc(65_536)
  let text = ''
  try {
    for (let size; (size = readSync(pipe, chunk)) > 0;) text += chunk.toString('utf8', 0, size)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error
  }
  return text
}

describe('a service whose standard output cannot be written', () => {
  test('starts, works and stops if its output and its errors go to a full device', async () => {
    const full = openSync('/dev/full', 'w')
    const service = await start(full, full)
    closeSync(full)
    await expectDropped(service, 'ENOSPC')
  })

  test('starts, works and stops if the output and the errors are pipes without a reader', async () => {
    const pipe = createPipe()
    const reader = pipe.open(constants.O_RDWR)
    const writer = pipe.open(constants.O_WRONLY)
    closeSync(reader)
    const service = await start(writer, writer)
    closeSync(writer)
    await expectDropped(service, 'EPIPE')
  })

  test('starts, works and stops if the reader of the pipe does not read', async () => {
    const { reader, writer } = createFullPipe()
    const service = await start(writer, writer)
    await expectToWork(service)
    expect(await countDropped()).toBe(0)
    expect(await service.end()).toBe(0)
    for (const end of [reader, writer]) closeSync(end)
  })

  test('writes what a slow reader missed, and the last lines', async () => {
    const { reader, writer } = createFullPipe()
    const service = await start(writer)
    await expectToWork(service)
    let output = ''
    await eventually(
      'the lines are read',
      async () => {
        output += readAll(reader)
        return Promise.resolve(/"msg":"serving"[^]*the registries were read again/.test(output))
      },
      60,
    )
    expect(await service.end()).toBe(0)
    expect(readAll(reader)).toMatch(/"msg":"stopping"[^]*"msg":"stopped"\}\n$/)
    for (const end of [reader, writer]) closeSync(end)
  })

  const onSmallDisk = noDisk === undefined ? test : test.skip
  onSmallDisk('loses lines while the disk is full, and reports how many when it has space', async () => {
    const disk = createSmallDisk(1)
    const path = join(disk.path, 'log')
    try {
      const file = openSync(path, 'a')
      let service = await start(file)
      await writeLine(service)
      disk.leave(0)
      await dropLines(service)
      await expectDropped(service, 'no space is left on the disk')
      // The last line of the previous process may be cut off.
      truncateSync(path)
      disk.leave(0)
      service = await start(file)
      closeSync(file)
      await dropLines(service)
      await expectToWork(service)
      disk.free()
      const reported = (): number =>
        readFileSync(path, 'utf8')
          .split('\n')
          .filter((line) => line.includes('could not be written'))
          .map((line) => (JSON.parse(line) as { lines: number }).lines)
          .reduce((sum, lines) => sum + lines, 0)
      await eventually('the lines that are lost are reported', async () => Promise.resolve(reported() > 0), 60)
      expect(reported()).toBe(await countDropped())
      expect(await service.end()).toBe(0)
      expect(readFileSync(path, 'utf8')).toMatch(/"msg":"stopped"\}\n$/)
    } finally {
      await running?.end('SIGKILL')
      disk.remove()
    }
  })
})
