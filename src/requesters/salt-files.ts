import { chmod, mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { startOfDay, utcDay } from '../events/calendar.js'
import { isRotation, isSalt, periodOf, type SaltStore, type StoredSalt } from './salts.js'

const PART = '.part'
/** `<rotation>-<first UTC day>` */
const NAME = /^([a-z]+)-(\d{4}-\d{2}-\d{2})$/

/**
 * Stores salts in separate files (mode 0600), for the one process that uses the data directory. The embedded database would keep
 * a deleted salt in its pages and its log, and copy it into dumps. A file is overwritten before it is removed. A salt is written
 * to disk before it is used, so that a crash cannot give one client two origins. A crash may leave a file that was overwritten and not
 * removed: a file without a whole salt is destroyed, and replaced if its period needs a salt.
 * @param directory created with mode 0700 if it is missing
 */
export const createSaltFiles = (directory: string): SaltStore => {
  const list = async (): Promise<StoredSalt[]> => {
    const salts = await Promise.all((await filesIn(directory)).map(async (file) => readSalt(directory, file)))
    return salts.flatMap((salt) => salt ?? []).sort((a, b) => a.from - b.from)
  }
  return {
    list,
    add: async (salts) => {
      await mkdir(directory, { recursive: true, mode: 0o700 })
      await chmod(directory, 0o700)
      for (const part of (await filesIn(directory)).filter(isPart)) await destroy(join(directory, part))
      for (const salt of salts) if (!(await readSalt(directory, nameOf(salt)))) await replaceSalt(directory, salt)
    },
    keepOnly: async (rotation, since) => {
      const kept = new Set(
        (await list()).filter((salt) => salt.rotation === rotation && salt.until >= since).map(nameOf),
      )
      const ended = (await filesIn(directory)).filter((file) => !kept.has(file) && isOurs(file))
      for (const file of ended) await destroy(join(directory, file))
      if (ended.length > 0) await sync(directory)
    },
  }
}

const nameOf = ({ rotation, from }: Pick<StoredSalt, 'rotation' | 'from'>): string => `${rotation}-${utcDay(from)}`

/** Whether a file is what a crash left of the writing of a salt. */
const isPart = (file: string): boolean => file.endsWith(PART) && NAME.test(file.slice(0, -PART.length))

const isOurs = (file: string): boolean => NAME.test(file) || isPart(file)

const filesIn = async (directory: string): Promise<string[]> => {
  const entries = await readdir(directory, { withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  })
  return entries.filter((entry) => entry.isFile()).map(({ name }) => name)
}

/** @returns undefined if the file does not exist, or contains no whole salt */
const readSalt = async (directory: string, file: string): Promise<StoredSalt | undefined> => {
  const [, rotation, day] = NAME.exec(file) ?? []
  const from = day === undefined ? undefined : startOfDay(day)
  if (!isRotation(rotation) || from === undefined) return undefined
  const text = await readFile(join(directory, file), 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  })
  return isSalt(text) ? { rotation, ...periodOf(from, rotation), text } : undefined
}

const replaceSalt = async (directory: string, salt: StoredSalt): Promise<void> => {
  // What the file contains may be a part of a salt.
  if ((await filesIn(directory)).includes(nameOf(salt))) await destroy(join(directory, nameOf(salt)))
  await writeSalt(directory, salt)
}

const writeSalt = async (directory: string, salt: StoredSalt): Promise<void> => {
  const file = join(directory, nameOf(salt))
  const handle = await open(file + PART, 'w', 0o600)
  try {
    await handle.writeFile(salt.text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(file + PART, file)
  await sync(directory)
}

const destroy = async (file: string): Promise<void> => {
  const handle = await open(file, 'r+')
  try {
    const { size } = await handle.stat()
    await handle.write(Buffer.alloc(size), 0, size, 0)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rm(file)
}

const sync = async (directory: string): Promise<void> => {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
