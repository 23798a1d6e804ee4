import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './process.js'

const MEBIBYTE = 2 ** 20

/** A file system of its own, in memory. */
export type SmallDisk = {
  path: string
  /** Fills the disk until so many mebibytes are left. */
  leave: (mebibytes: number) => void
  /** Creates files until no more can be created, although space is left. */
  takeInodes: () => void
  /** Frees all that `leave` and `takeInodes` took. */
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

/** Mounts an empty tmpfs of so many mebibytes, which can contain so many files. */
export const createSmallDisk = (mebibytes: number, inodes = 20_000): SmallDisk => {
  const folder = temporaryFolder('small-disk')
  try {
    const options = `size=${mebibytes}m,nr_inodes=${inodes},mode=0755`
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder.path], { stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    folder.remove()
    throw error
  }
  const filler = join(folder.path, 'filler')
  const files = join(folder.path, 'files')
  const free = (): void => {
    rmSync(files, { recursive: true, force: true })
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
    takeInodes: () => {
      mkdirSync(files)
      try {
        for (let i = 0; i < inodes; i++) writeFileSync(join(files, String(i)), '')
      } catch (error) {
        if ((error as { code?: unknown }).code !== 'ENOSPC') throw error
      }
    },
    free,
    remove: () => {
      execFileSync('umount', ['--lazy', folder.path])
      folder.remove()
    },
  }
}
