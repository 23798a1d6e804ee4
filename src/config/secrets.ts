import { createHmac, randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  renameSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { FileError } from '../runtime/file-error.js'
import { readTextFile } from '../runtime/read-file.js'
import { includesScope, isAdmin, type ApiToken } from '../tokens/api-tokens.js'
import type { NotificationToken } from '../tokens/notification-tokens.js'

/** The files of tokens that the first start creates. */
export const TOKEN_FILES = { notification: 'notification.token', api: 'api.token' } as const

/** The file of the users key that the first start creates. */
export const USERS_KEY_FILE = 'users.key'

/** Secrets, from the configuration or created by the first start and stored in the data directory with mode 0600. */
export type Secrets = {
  notificationTokens: readonly NotificationToken[]
  /** The token with the widest scope first. */
  apiTokens: readonly ApiToken[]
  /** The key of the hash of user names. */
  usersKey: string
  /** Names of the files with tokens that were created and not shown yet. */
  unshown: readonly string[]
  /** Names of the files that this call created. */
  made: readonly string[]
}

type SecretsConfig = {
  dataDir: string
  notificationTokens: readonly NotificationToken[]
  apiTokens: readonly ApiToken[]
  usersKey?: string | undefined
}

/** GitLab's registry requires letters and digits, beginning with a letter. */
const newToken = (): string => `tm${randomBytes(20).toString('hex')}`

/** What a file contains if a secret that Tallyman created was written to it in part. */
const PART_OF_SECRET = /^t(?:m[0-9a-f]{0,39})?$/

/**
 * The configured secrets. A missing secret is read from the data directory, or created and stored there.
 * @throws FileError for a file that cannot be read, or that does not contain a whole secret
 */
export const loadSecrets = ({ dataDir, notificationTokens, apiTokens, usersKey }: SecretsConfig): Secrets => {
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
    // Tokens with a narrow scope must not lock out the operator, and the commands need an admin token.
    apiTokens: apiTokens.some(isAdmin)
      ? [...apiTokens].sort((a, b) => Number(includesScope(b.scope, a.scope)) - Number(includesScope(a.scope, b.scope)))
      : [{ token: made(TOKEN_FILES.api), scope: 'admin' }, ...apiTokens],
    usersKey: usersKey ?? kept(USERS_KEY_FILE),
    unshown,
    made: files,
  }
}

/** Marks tokens as shown, so that they are not shown again. */
export const markShown = (dataDir: string, files: readonly string[]): void => {
  for (const file of files) rmSync(marker(dataDir, file), { force: true })
}

/** Removes secrets that a start created and cannot use, and the directory if it is then empty. */
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

/** The file that exists beside a token until the token was shown: the start that created it may fail before it shows it. */
const marker = (dataDir: string, file: string): string => join(dataDir, `${file}.unshown`)

const make = (dataDir: string, file: string): string => {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  const path = join(dataDir, file)
  const whole = `${path}.${process.pid}.part`
  const secret = newToken()
  if (file.endsWith('.token')) writeFileSync(marker(dataDir, file), '', { mode: 0o600 })
  writeSynced(whole, `${secret}\n`)
  try {
    // Fails if another process was first, or if a crash or a full disk left an empty file.
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

/** Writes a file to the disk before it gets its name, so that a crash leaves the whole file or none. */
const writeSynced = (path: string, text: string): void => {
  const file = openSync(path, 'w', 0o600)
  try {
    writeFileSync(file, text)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Bytes. */
const LARGEST_SECRET = 65_536

const readIfThere = (path: string): string | undefined => {
  try {
    const secret = readTextFile(path, { bytes: LARGEST_SECRET }).trim()
    if (PART_OF_SECRET.test(secret))
      throw new FileError(path, 'contains only the beginning of a secret; restore it from a backup, or remove the file')
    return secret === '' ? undefined : secret
  } catch (error) {
    // A secret without read permission is not missing.
    if (error instanceof FileError && error.code === 'ENOENT') return undefined
    throw error
  }
}

/** The notification token that an earlier start created; undefined if it does not exist or cannot be read. */
export const keptToken = (dataDir: string): string | undefined => {
  try {
    return readIfThere(join(dataDir, TOKEN_FILES.notification))
  } catch {
    return undefined
  }
}

/** A fingerprint that distinguishes keys and reveals nothing about them. */
export const fingerprintOf = (key: string): string =>
  createHmac('sha256', key).update('tallyman users key').digest('hex').slice(0, 16)
