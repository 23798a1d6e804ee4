import { statSync } from 'node:fs'

const CHECK_EVERY_MS = 2_000

/**
 * Calls back when one of the files was changed, created or removed, or when the list of files changes. Two consecutive checks must
 * find the same state, so that a file is not read while it is being written.
 * @returns a function that stops watching
 */
export const watchFiles = (files: () => readonly string[], onChange: () => void): (() => void) => {
  // Read at once, so that the next check finds a change that happens while the caller first reads the files.
  let version = versionOf(files())
  let seen = version
  const check = (): void => {
    const found = versionOf(files())
    const isStill = found === seen
    seen = found
    if (!isStill || found === version) return
    version = found
    onChange()
  }
  const checking = setInterval(check, CHECK_EVERY_MS).unref()
  return () => {
    clearInterval(checking)
  }
}

/** A text that changes when a file changes. Node's own watchFile first checks some time later, and misses changes until then. */
const versionOf = (files: readonly string[]): string => files.map(versionOfOne).join('\n')

const versionOfOne = (file: string): string => {
  try {
    const { ino, size, mtimeNs } = statSync(file, { bigint: true })
    return `${file} ${ino} ${size} ${mtimeNs}`
  } catch (error) {
    // An inaccessible file is a change as well: reading the file then reports the reason.
    return String((error as { code?: string }).code)
  }
}
