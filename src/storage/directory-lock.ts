import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readlinkSync, realpathSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { readTextFile } from '../runtime/read-file.js'
import { UserError } from '../runtime/user-error.js'

/** Another process uses the directory. The message names the process and explains what to do. */
export class DirectoryInUse extends UserError {
  override readonly kind = 'setup'
}

export type DirectoryHolder = {
  pid: number
  host: string
  /** The namespace in which the pid is valid: see `pidNamespace`. */
  namespace?: string | undefined
  listen?: string
}
export type DirectoryLock = {
  /** Stores the holder's address in the lock, for commands on the same directory. */
  announce: (listen: string) => void
  /** False if another process took the directory while this one was suspended: this process must not write any more. */
  isHeld: () => boolean
  release: () => void
}

const FILE = 'tallyman.lock'
/** Bytes. */
const LARGEST_LOCK = 65_536
const HEARTBEAT_MS = 5_000
/** A holder without a heartbeat for this long is dead. Processes in other containers are invisible, so only the heartbeat counts. */
const SILENCE_MS = 20_000
const LOOK_MS = 1_000

/**
 * Writes the heartbeat in a separate thread, because one statement may keep the main thread busy for longer than SILENCE_MS.
 * As source text, because a bundle has no file for it.
 */
const BEAT = `
  const { workerData: { file, lock, ms } } = require('node:worker_threads')
  const { readFileSync, utimesSync } = require('node:fs')
  setInterval(() => {
    try {
      const now = new Date()
      if (JSON.parse(readFileSync(file, 'utf8')).lock === lock) utimesSync(file, now, now)
    } catch {
      // The next one tries again.
    }
  }, ms)
`

/**
 * Locks a data directory for this process, because two PGlites in one directory lose rows without an error.
 * There are two locks. The kernel frees an abstract socket however the process ends, but other containers do not see the socket.
 * They see a file with a heartbeat. After the crash of a container, the next container with its name waits until the
 * heartbeat has been missing for SILENCE_MS.
 * @param wait waits milliseconds
 * @throws DirectoryInUse; the error of the file system if the directory cannot be written
 */
export const lockDirectory = async (
  directory: string,
  wait: (milliseconds: number) => Promise<unknown> = sleep,
): Promise<DirectoryLock> => {
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  const file = join(directory, FILE)
  const holder = directoryHolder(directory)
  if (holder && !(mayBeDead(file, holder) && (await isSilent(file, wait)))) throw inUse(directory, holder)
  const hasWaited = holder !== undefined
  const socket = await listenOn(socketName(directory)).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw inUse(directory, directoryHolder(directory))
  })

  const lock = randomUUID()
  let content = JSON.stringify({ pid: process.pid, host: hostname(), namespace: pidNamespace(), lock })
  const write = (): void => {
    writeFileSync(file, content, { mode: 0o600 })
  }
  write()
  let isLost = false
  let checkedAt = Date.now()
  // After a suspension longer than SILENCE_MS, the file may be another holder's, or missing if that holder has ended.
  const isTaken = (): boolean => {
    const wasSuspended = Math.abs(Date.now() - checkedAt) > SILENCE_MS
    checkedAt = Date.now()
    const found = lockIn(file)
    isLost ||= found === undefined ? wasSuspended && !existsSync(file) : found !== lock
    return isLost
  }
  const heartbeat = setInterval(() => {
    try {
      const now = new Date()
      if (isTaken()) return
      if (existsSync(file)) utimesSync(file, now, now)
      else write()
    } catch {
      // A full disk or a missing directory must not end the process; the next heartbeat tries again.
    }
  }, HEARTBEAT_MS).unref()
  const stopThread = beatInThread(file, lock)
  const stop = (): void => {
    clearInterval(heartbeat)
    stopThread()
    socket?.close()
  }
  // If several processes waited for the same holder, the last one that wrote its file has the lock.
  if (hasWaited) {
    await wait(LOOK_MS)
    if (isTaken()) {
      stop()
      throw inUse(directory, directoryHolder(directory))
    }
  }
  return {
    announce: (listen) => {
      if (isTaken()) return
      content = JSON.stringify({ ...(JSON.parse(content) as DirectoryHolder), listen })
      write()
    },
    isHeld: () => !(Math.abs(Date.now() - checkedAt) > 2 * HEARTBEAT_MS ? isTaken() : isLost),
    release: () => {
      stop()
      if (!isTaken()) rmSync(file, { force: true })
    },
  }
}

/** @returns a function that stops the thread. If the thread cannot start, the heartbeat of the main thread must suffice. */
const beatInThread = (file: string, lock: string): (() => void) => {
  try {
    // Options of this process, such as --input-type, do not fit that source.
    const thread = new Worker(BEAT, { eval: true, execArgv: [], workerData: { file, lock, ms: HEARTBEAT_MS } })
    thread.on('error', () => undefined).unref()
    return () => void thread.terminate()
  } catch {
    return () => undefined
  }
}

/** The id of the lock in a file; undefined if the file cannot be read, for example while it is written. */
const lockIn = (file: string): string | undefined => {
  try {
    const text = readTextFile(file, { bytes: LARGEST_LOCK, patience: 0 })
    return (JSON.parse(text) as { lock?: string }).lock ?? ''
  } catch {
    return undefined
  }
}

/**
 * Whether only a heartbeat can show that a holder lives. Either the holder has this machine's name, but its processes are invisible
 * from here, for example after the restart of a container. Or the time of its lock is ahead of this machine's clock.
 */
const mayBeDead = (file: string, holder: DirectoryHolder): boolean =>
  (holder.host === hostname() && holder.namespace !== pidNamespace()) || ageOf(file) < -SILENCE_MS

/** Waits until a lock had no heartbeat for SILENCE_MS, or has one. The age of a lock from the future cannot be computed. */
const isSilent = async (file: string, wait: (milliseconds: number) => Promise<unknown>): Promise<boolean> => {
  const before = statSync(file, { throwIfNoEntry: false })?.mtimeMs
  const age = ageOf(file)
  for (let left = age < 0 ? SILENCE_MS : Math.max(SILENCE_MS - age, 2 * HEARTBEAT_MS); left > 0; left -= LOOK_MS) {
    await wait(LOOK_MS)
    const { mtimeMs } = statSync(file, { throwIfNoEntry: false }) ?? {}
    // The lock was released.
    if (mtimeMs === undefined) return true
    if (mtimeMs !== before) return false
  }
  return true
}

/** The age of a lock file; about 0 without a file, because a holder may be writing it. */
const ageOf = (file: string): number => Date.now() - (statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now())

/** The current holder of a directory; undefined if there is no holder, or if the holder died. */
export const directoryHolder = (directory: string): DirectoryHolder | undefined => {
  const file = join(directory, FILE)
  try {
    const holder = JSON.parse(readTextFile(file, { bytes: LARGEST_LOCK, patience: 0 })) as DirectoryHolder
    if (ageOf(file) > SILENCE_MS) return undefined
    const isHere = holder.host === hostname() && holder.namespace === pidNamespace()
    return isHere && !isAlive(holder.pid) ? undefined : holder
  } catch {
    return undefined
  }
}

/** The scope in which a pid is unique: on Linux the boot and the PID namespace, which each container has. Elsewhere the host. */
export const pidNamespace = (): string | undefined => {
  if (process.platform !== 'linux') return undefined
  try {
    const boot = readTextFile('/proc/sys/kernel/random/boot_id', { bytes: 100, patience: 0 }).trim()
    return `${boot} ${readlinkSync('/proc/self/ns/pid')}`
  } catch {
    // Without /proc, other processes are unknown.
    return randomUUID()
  }
}

const isAlive = (pid: number): boolean => {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}

const inUse = (directory: string, holder: DirectoryHolder | undefined): DirectoryInUse => {
  const who = holder ? `process ${holder.pid} on ${holder.host}` : 'another process'
  return new DirectoryInUse(
    `the data directory ${directory} is in use by ${who}; stop it first, or set TALLYMAN_DATA_DIR to another directory`,
  )
}

/** Linux only: elsewhere the file is the only lock. */
const socketName = (directory: string): string | undefined =>
  process.platform === 'linux'
    ? `\0tallyman-${createHash('sha256').update(realpathSync(directory)).digest('hex').slice(0, 32)}`
    : undefined

const listenOn = async (name: string | undefined): Promise<Server | undefined> => {
  if (name === undefined) return undefined
  const server = createServer((connection) => connection.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(name, resolve)
  })
  server.unref()
  return server
}
