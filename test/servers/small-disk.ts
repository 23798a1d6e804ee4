import { execFileSync } from 'node:child_process'
import { chmodSync, closeSync, existsSync, ftruncateSync, openSync, statfsSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './process.js'

const MEBIBYTE = 2 ** 20

/** A file system of its own, in memory. */
export type SmallDisk = {
  path: string
  /** Fills the disk until so many mebibytes are left. */
  leave: (mebibytes: number) => void
  /** Frees all that `leave` took. */
  free: () => void
  remove: () => void
}

/** Why this machine cannot have a small disk; undefined if it can. */
export const whyNoSmallDisk = (): string | undefined => {
  try {
    createSmallDisk(1).remove()
    return undefined
  } catch (error) {
    return `mounting a tmpfs needs root on Linux: ${(error as Error).message.split('\n').at(-1) ?? ''}`
  }
}

/** Mounts an empty tmpfs of so many mebibytes. */
export const createSmallDisk = (mebibytes: number): SmallDisk => {
  const folder = temporaryFolder('small-disk')
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m,mode=0755`, 'tmpfs', folder.path], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
  } catch (error) {
    folder.remove()
    throw error
  }
  const filler = join(folder.path, 'filler')
  const free = (): void => {
    if (!existsSync(filler)) return
    const file = openSync(filler, 'w')
    ftruncateSync(file, 0)
    closeSync(file)
  }
  return {
    path: folder.path,
    leave: (left) => {
      const { bavail, bsize } = statfsSync(folder.path)
      let bytes = bavail * bsize - left * MEBIBYTE
      const file = openSync(filler, 'a')
      const block = Buffer.alloc(MEBIBYTE)
      try {
        while (bytes > 0) bytes -= writeSync(file, block, 0, Math.min(bytes, block.length))
      } catch (error) {
        // Whoever writes beside this took the last of it.
        if ((error as { code?: unknown }).code !== 'ENOSPC') throw error
      } finally {
        closeSync(file)
      }
      chmodSync(filler, 0o600)
    },
    free,
    remove: () => {
      execFileSync('umount', ['--lazy', folder.path])
      folder.remove()
    },
  }
}
