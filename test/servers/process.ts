import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'

const INHERITED = ['PATH', 'TZ', 'LD_PRELOAD', 'FAKETIME', 'FAKETIME_SHARED', 'DONT_FAKE_MONOTONIC']

/** The environment of the test for a shell, without the variables of the test itself: Tallyman warns of unknown ones. */
export const shellEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('TALLYMAN_')))

/** The part of the environment that every program of a test inherits: where programs are, and clock and time zone. */
export const inherited = (): Record<string, string> =>
  Object.fromEntries(INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])))

/** A TCP port on 127.0.0.1 that nothing listens on now. */
export const freePort = async (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => {
        if (address && typeof address === 'object') resolve(address.port)
      })
    })
  })

/** A new empty folder, removed by `remove`. */
export const temporaryFolder = (name: string): { path: string; remove: () => void } => {
  const path = mkdtempSync(join(tmpdir(), `tallyman-${name}-`))
  return {
    path,
    remove: () => {
      rmSync(path, { recursive: true, force: true })
    },
  }
}

/** Waits until `ready` answers true; fails with `what` and the last error when it does not within `seconds`. */
export const eventually = async (what: string, ready: () => Promise<boolean>, seconds = 120): Promise<void> => {
  const end = performance.now() + seconds * 1000
  let last: unknown
  while (performance.now() < end) {
    try {
      if (await ready()) return
    } catch (error) {
      last = error
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  throw new Error(`${what}: not within ${seconds} s${last instanceof Error ? ` (${last.message})` : ''}`)
}

export type RunningProcess = {
  child: ChildProcess
  /** What it printed so far, both streams. */
  output: () => string
  /** Ends it by its own process id and waits for it; the exit code, or null when a signal ended it. */
  end: (signal?: NodeJS.Signals) => Promise<number | null>
}

const running = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL')
})

/**
 * Programs that run by the real clock under faketime: Redis does not start there, and PostgreSQL gets no signal for its time
 * limits. The product never compares their clocks with its own.
 */
const UNSHIFTED = new Set(['redis-server', 'postgres'])

/** Starts a program that runs until `end`. */
export const startProcess = (command: string, args: string[], options: SpawnOptions = {}): RunningProcess => {
  const env = UNSHIFTED.has(basename(command)) ? { ...process.env, LD_PRELOAD: '' } : process.env
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env, ...options })
  running.add(child)
  let output = ''
  const keep = (chunk: Buffer): void => {
    output = (output + chunk.toString()).slice(-200_000)
  }
  child.stdout?.on('data', keep)
  child.stderr?.on('data', keep)
  child.on('error', (error) => {
    keep(Buffer.from(`${command}: ${error.message}\n`))
  })
  const ended = new Promise<number | null>((resolve) => {
    child.once('close', (code) => {
      running.delete(child)
      resolve(code)
    })
  })
  return {
    child,
    output: () => output,
    end: async (signal = 'SIGTERM') => {
      child.kill(signal)
      return ended
    },
  }
}
