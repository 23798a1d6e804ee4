import { isNativeError } from 'node:util/types'
import { fileSentence } from '../../runtime/file-error.js'
import { isStorageUnavailable, storeOf, unavailableReason, type StoreName } from '../../storage/unavailable.js'
import { UserError } from '../../runtime/user-error.js'

/** A command cannot continue. The message explains why, and what to do. */
export class CommandError extends UserError {
  override readonly kind = 'setup'
}

/** Recognised by their names, because loading PGlite takes long. */
const EMBEDDED: ReadonlySet<string> = new Set(['DatabaseLost', 'EmbeddedDatabaseFailed'])

/** The setting that names a store. */
const SETTING_OF: Record<StoreName, string> = { PostgreSQL: 'DATABASE_URL', Redis: 'REDIS_URL' }

/** Advice on errors of PostgreSQL, by SQLSTATE. */
const REMEDIES: Record<string, string> = {
  '3D000': 'create the database, or name another in DATABASE_URL',
  '28P01': 'check the user and the password in DATABASE_URL',
  '28000': 'check the user in DATABASE_URL, and pg_hba.conf of the server',
  '42501':
    'the user in DATABASE_URL needs the right to create schemas in this database, and tables in its schema public: grant create on database DATABASE to USER',
}

/** The message of an error for a user at a terminal. */
export const explain = (error: unknown): string => {
  if (!(error instanceof Error || isNativeError(error))) return 'tallyman: failed'
  if (error instanceof UserError || EMBEDDED.has(error.name)) return `tallyman: ${error.message}`
  const sentence = fileSentence(error)
  if (sentence !== undefined) return `tallyman: ${sentence}`
  if (isStorageUnavailable(error)) {
    const store = storeOf(error)
    const check = store
      ? `${SETTING_OF[store]}, and that the server runs`
      : 'DATABASE_URL and REDIS_URL, and that the servers run'
    return `tallyman: ${store ?? 'a store'} does not answer (${unavailableReason(error)}); check ${check}`
  }
  const remedy = 'code' in error ? REMEDIES[String(error.code)] : undefined
  if (remedy !== undefined) return `tallyman: PostgreSQL refused (${error.message}); ${remedy}`
  return `tallyman: ${error.stack ?? error.message}`
}
