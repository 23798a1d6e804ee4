import { createHash, randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, realpathSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readTextFile } from '../files/read-file.js'

/** Another process holds the directory. The message says which, and what to do. */
export class DirectoryInUse extends Error {}

export type DirectoryHolder = { pid: number; host: string; listen?: string }
export type DirectoryLock = {
  /** Notes where the holder listens, for the command line of the same directory. */
  announce: (listen: string) => void
  release: () => void
}

const FILE = 'tallyman.lock'
/** Bytes. */
const LARGEST_LOCK = 65_536
const HEARTBEAT_MS = 5_000
/** Without a heartbeat for this long a holder is dead, also one in another container, whose processes we cannot see. */
const SILENCE_MS = 20_000

/**
 * Takes a data directory for this process alone, because two PGlites in one directory lose rows without an error.
 * Two locks together: an abstract socket, which the kernel frees whatever kills us but which other containers do not see,
 * and a file with a heartbeat, which they do see.
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
  if (holder && !(await isStill(file, wait))) throw inUse(directory, holder)
  const socket = await listenOn(socketName(directory)).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error
    throw inUse(directory, directoryHolder(directory))
  })

  let content = JSON.stringify({ pid: process.pid, host: hostname(), lock: randomUUID() })
  const write = (): void => {
    writeFileSync(file, content, { mode: 0o600 })
  }
  write()
  // Whoever was suspended for longer than SILENCE_MS may find another holder's file in place of its own.
  const isTaken = (): boolean => ![content, undefined].includes(readIfThere(file))
  const heartbeat = setInterval(() => {
    try {
      const now = new Date()
      if (isTaken()) return
      if (existsSync(file)) utimesSync(file, now, now)
      else write()
    } catch {
      // A full disk or a folder that is gone must not end the process; the next heartbeat tries again.
    }
  }, HEARTBEAT_MS).unref()
  return {
    announce: (listen) => {
      if (isTaken()) return
      content = JSON.stringify({ ...(JSON.parse(content) as DirectoryHolder), listen })
      write()
    },
    release: () => {
      clearInterval(heartbeat)
      socket?.close()
      if (!isTaken()) rmSync(file, { force: true })
    },
  }
}

const readIfThere = (file: string): string | undefined => {
  try {
    return readTextFile(file, { bytes: LARGEST_LOCK, patience: 0 })
  } catch {
    return undefined
  }
}

/**
 * Whether the time of a lock is ahead of the clock and no heartbeat changes the lock: the clock was set back, or the holder was in a
 * container on a machine whose clock is ahead. How old such a lock is cannot be known from its time.
 */
const isStill = async (file: string, wait: (milliseconds: number) => Promise<unknown>): Promise<boolean> => {
  const { mtimeMs } = statSync(file)
  if (mtimeMs - Date.now() <= SILENCE_MS) return false
  await wait(SILENCE_MS)
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs === mtimeMs
}

/** Who holds a directory now; undefined when nobody does, or when its holder died. */
export const directoryHolder = (directory: string): DirectoryHolder | undefined => {
  const file = join(directory, FILE)
  try {
    const holder = JSON.parse(readTextFile(file, { bytes: LARGEST_LOCK, patience: 0 })) as DirectoryHolder
    if (Date.now() - statSync(file).mtimeMs > SILENCE_MS) return undefined
    return holder.host !== hostname() || isAlive(holder.pid) ? holder : undefined
  } catch {
    return undefined
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

/** Linux only: elsewhere the file alone must do. */
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
