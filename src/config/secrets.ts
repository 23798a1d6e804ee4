import { createHmac, randomBytes } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FileError } from '../runtime/file-error.js'
import { readTextFile } from '../runtime/read-file.js'
import { includesScope, isAdmin, type ApiToken } from '../tokens/api-tokens.js'
import type { NotificationToken } from '../tokens/notification-tokens.js'

/** The files of tokens that the first start makes. */
export const TOKEN_FILES = { notification: 'notification.token', api: 'api.token' } as const

/** The file of the users key that the first start makes. */
export const USERS_KEY_FILE = 'users.key'

/** Secrets that the first start makes when the configuration has none, kept in the data directory with mode 0600. */
export type Secrets = {
  notificationTokens: readonly NotificationToken[]
  /** The one with the widest scope first. */
  apiTokens: readonly ApiToken[]
  /** The key that names of people are hashed with. */
  usersKey: string
  /** Names of the files with tokens that were made here and that nobody was shown yet. */
  unshown: readonly string[]
  /** Names of the files that did not exist before this call. */
  made: readonly string[]
}

type Configured = {
  dataDir: string
  notificationTokens: readonly NotificationToken[]
  apiTokens: readonly ApiToken[]
  usersKey?: string | undefined
}

/** GitLab's registry wants letters and digits, a letter first. */
const newToken = (): string => `tm${randomBytes(20).toString('hex')}`

/** The configured secrets; what is missing is read from the data directory, or made and kept there. */
export const loadSecrets = ({ dataDir, notificationTokens, apiTokens, usersKey }: Configured): Secrets => {
  const unshown: string[] = []
  const files: string[] = []
  const kept = (file: string): string => {
    const existing = readIfThere(join(dataDir, file))
    if (existing !== undefined) return existing
    files.push(file)
    return make(dataDir, file)
  }
  const made = (file: string): string => {
    const token = kept(file)
    if (existsSync(marker(dataDir, file))) unshown.push(file)
    return token
  }
  return {
    notificationTokens:
      notificationTokens.length > 0 ? notificationTokens : [{ token: made(TOKEN_FILES.notification) }],
    // A scope that narrows what others may do must not lock out the operator, and the commands ask with this token.
    apiTokens: apiTokens.some(isAdmin)
      ? [...apiTokens].sort((a, b) => Number(includesScope(b.scope, a.scope)) - Number(includesScope(a.scope, b.scope)))
      : [{ token: made(TOKEN_FILES.api), scope: 'admin' }, ...apiTokens],
    usersKey: usersKey ?? kept(USERS_KEY_FILE),
    unshown,
    made: files,
  }
}

/** Notes that tokens were shown: they are not shown again. */
export const markShown = (dataDir: string, files: readonly string[]): void => {
  for (const file of files) rmSync(marker(dataDir, file), { force: true })
}

/** Removes secrets that a start made and cannot use, and the directory if nothing else is in it. */
export const removeMade = (dataDir: string, { made }: Pick<Secrets, 'made'>): void => {
  if (made.length === 0) return
  for (const file of made) rmSync(join(dataDir, file), { force: true })
  markShown(dataDir, made)
  try {
    rmdirSync(dataDir)
  } catch {
    // Other files are in it.
  }
}

/** Stands beside a token until it was shown: the start that made it may fail before it tells anybody. */
const marker = (dataDir: string, file: string): string => join(dataDir, `${file}.unshown`)

const make = (dataDir: string, file: string): string => {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const path = join(dataDir, file)
  const whole = `${path}.${process.pid}.part`
  const secret = newToken()
  if (file.endsWith('.token')) writeFileSync(marker(dataDir, file), '', { mode: 0o600 })
  writeFileSync(whole, `${secret}\n`, { mode: 0o600 })
  try {
    // Fails when another process was first; a file without content is what a crash or a full disk left.
    linkSync(whole, path)
  } catch {
    const other = readIfThere(path)
    if (other !== undefined) return other
    renameSync(whole, path)
  } finally {
    rmSync(whole, { force: true })
  }
  return secret
}

/** Bytes. */
const LARGEST_SECRET = 65_536

const readIfThere = (path: string): string | undefined => {
  try {
    const secret = readTextFile(path, { bytes: LARGEST_SECRET }).trim()
    return secret === '' ? undefined : secret
  } catch (error) {
    // A secret that may not be read is not missing.
    if (error instanceof FileError && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** The notification token that an earlier start made; undefined if there is none, or if it cannot be read. */
export const keptToken = (dataDir: string): string | undefined => {
  try {
    return readIfThere(join(dataDir, TOKEN_FILES.notification))
  } catch {
    return undefined
  }
}

/** Tells two keys apart without telling anything about them. */
export const fingerprintOf = (key: string): string =>
  createHmac('sha256', key).update('tallyman users key').digest('hex').slice(0, 16)
