import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Secrets that the first start makes when the configuration has none, kept in the data directory with mode 0600. */
export type Secrets = {
  notificationTokens: readonly string[]
  apiTokens: readonly string[]
  /** The key that names of people are hashed with. */
  usersKey: string
  /** Names of the files that were written just now, because a secret was missing. */
  made: readonly string[]
}

type Configured = {
  dataDir: string
  notificationTokens: readonly string[]
  apiTokens: readonly string[]
  usersKey?: string | undefined
}

/** GitLab's registry wants letters and digits, a letter first. */
const newToken = (): string => `tm${randomBytes(20).toString('hex')}`

/** The configured secrets; what is missing is read from the data directory, or made and kept there. */
export const loadSecrets = (configured: Configured): Secrets => {
  const made: string[] = []
  const kept = (file: string): string => {
    const path = join(configured.dataDir, file)
    const known = readIfThere(path)
    if (known !== undefined) return known
    const secret = newToken()
    mkdirSync(configured.dataDir, { recursive: true, mode: 0o700 })
    writeFileSync(path, `${secret}\n`, { mode: 0o600, flag: 'wx' })
    made.push(file)
    return secret
  }
  const tokens = (list: readonly string[], file: string): readonly string[] => (list.length > 0 ? list : [kept(file)])
  return {
    notificationTokens: tokens(configured.notificationTokens, 'notification.token'),
    apiTokens: tokens(configured.apiTokens, 'api.token'),
    usersKey: configured.usersKey ?? kept('users.key'),
    made,
  }
}

const readIfThere = (path: string): string | undefined => {
  try {
    const secret = readFileSync(path, 'utf8').trim()
    return secret === '' ? undefined : secret
  } catch {
    return undefined
  }
}

/** Tells two keys apart without telling anything about them. */
export const fingerprintOf = (key: string): string =>
  createHmac('sha256', key).update('tallyman users key').digest('hex').slice(0, 16)
