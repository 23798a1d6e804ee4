import { existsSync, readdirSync } from 'node:fs'

/** A dump is named after the UTC day on which it was written. */
const nameOf = (at: Date): string => `tallyman-${at.toISOString().slice(0, 10)}`
const DUMP = /^tallyman-\d{4}-\d{2}-\d{2}\.tar\.gz$/
const PART = /^tallyman-\d{4}-\d{2}-\d{2}\.(?:tar\.gz|copy)\.part$/

/** The file names of a dump, its unfinished archive, and the copy of the database, in the directory of dumps. */
export const dumpNames = (at: Date): { dump: string; packed: string; copy: string } => {
  const name = nameOf(at)
  return { dump: `${name}.tar.gz`, packed: `${name}.tar.gz.part`, copy: `${name}.copy.part` }
}

type Found = {
  /** Names of dumps, the oldest first. */
  dumps: string[]
  /** Names of files that unfinished dumps left. */
  parts: string[]
  /** Names of files that Tallyman did not write, and must not remove. Hidden files are left out. */
  foreign: string[]
}

/**
 * The names of the files in the directory of dumps. A dump of a day after `now` was written while the clock was ahead. The time of
 * its state is unknown, so the dump counts as older than all others.
 */
export const findDumps = (folder: string, now: Date): Found => {
  const found: Found = { dumps: [], parts: [], foreign: [] }
  if (!existsSync(folder)) return found
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const { name } = entry
    if (DUMP.test(name) && entry.isFile()) found.dumps.push(name)
    else if (PART.test(name)) found.parts.push(name)
    else if (!name.startsWith('.')) found.foreign.push(name)
  }
  const today = dumpNames(now).dump
  const isAhead = (name: string): boolean => name > today
  const byDay = found.dumps.sort()
  return {
    dumps: [...byDay.filter(isAhead), ...byDay.filter((name) => !isAhead(name))],
    parts: found.parts,
    foreign: found.foreign.sort(),
  }
}
