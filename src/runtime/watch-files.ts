import { statSync } from 'node:fs'

const LOOK_EVERY_MS = 2_000

/**
 * Calls back when one of the files has changed, come or gone, or when other files are to be watched. A file that is being written is not read in the
 * middle: two looks in turn must find the same.
 * @returns how to stop.
 */
export const watchFiles = (files: () => readonly string[], onChange: () => void): (() => void) => {
  // Noted at once: a change while the files are being read for the first time is then seen at the next look.
  let version = versionOf(files())
  let seen = version
  const look = (): void => {
    const found = versionOf(files())
    const isStill = found === seen
    seen = found
    if (!isStill || found === version) return
    version = found
    onChange()
  }
  const looking = setInterval(look, LOOK_EVERY_MS).unref()
  return () => {
    clearInterval(looking)
  }
}

/** Differs when a file does; Node's own watchFile takes its first look some time later, and misses what changes until then. */
const versionOf = (files: readonly string[]): string => files.map(versionOfOne).join('\n')

const versionOfOne = (file: string): string => {
  try {
    const { ino, size, mtimeNs } = statSync(file, { bigint: true })
    return `${file} ${ino} ${size} ${mtimeNs}`
  } catch (error) {
    // That it cannot be looked at is a change as well: reading it tells why.
    return String((error as { code?: string }).code)
  }
}
