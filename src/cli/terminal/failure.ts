import { isNativeError } from 'node:util/types'
import { ConfigError } from '../../config/config.js'
import { ImportError } from '../../counters/export-lines.js'
import { ExportStopped } from '../../counters/export-counters.js'
import { DefinitionError } from '../../definitions/definition-file.js'
import { FileError, fileSentence } from '../../runtime/file-error.js'
import { RegistryNotReadable } from '../../inventory/reconcile/selected-registries.js'
import { NotAllReconciled } from '../../inventory/reconcile/each-registry.js'
import { AliasNotMoved, MaybeCache } from '../../inventory/reconcile/reconcile-registry.js'
import { ReconcileBusy } from '../../inventory/reconcile/reconcile.js'
import { MassDeletionRefused } from '../../inventory/reconcile/mass-deletion-guard.js'
import { RegistryError } from '../../registries/client/exchange.js'
import { DeliveryError } from '../../ping/deliver.js'
import { PullsError } from '../../pulls/query/parameters.js'
import { PlacesError } from '../../requesters/location/places-error.js'
import { RegistriesError } from '../../registries/read-registries.js'
import { JoinRefused } from '../../registries/join-registries.js'
import { UnknownRegistry } from '../../registries/registry-names.js'
import { isStorageUnavailable } from '../../storage/unavailable.js'
import { DumpFailed } from '../../storage/embedded/dump-now.js'
import { StatementRefused } from '../../storage/sql/statement-check.js'
import { DirectoryInUse } from '../../storage/directory-lock.js'
import { DamagedSketch } from '../../storage/sketches/sketch-store.js'
import { OtherUsersKey } from '../../schema/users-key.js'
import { UserFileError } from '../../users/read-user-file.js'
import { ServiceError } from './service-client.js'

/** A command cannot continue. The message says why, and what to do. */
export class CommandError extends Error {}

const USER_ERRORS = [
  ConfigError,
  DefinitionError,
  ImportError,
  ExportStopped,
  DeliveryError,
  DamagedSketch,
  DirectoryInUse,
  DumpFailed,
  OtherUsersKey,
  RegistriesError,
  UserFileError,
  FileError,
  PlacesError,
  PullsError,
  NotAllReconciled,
  RegistryNotReadable,
  JoinRefused,
  UnknownRegistry,
  AliasNotMoved,
  MaybeCache,
  ReconcileBusy,
  MassDeletionRefused,
  RegistryError,
  ServiceError,
  StatementRefused,
  CommandError,
]

/** Recognised by their names, because loading PGlite takes long. */
const EMBEDDED: ReadonlySet<string> = new Set(['DatabaseLost', 'EmbeddedDatabaseFailed'])

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
  if (USER_ERRORS.some((kind) => error instanceof kind) || EMBEDDED.has(error.name)) return `tallyman: ${error.message}`
  const sentence = fileSentence(error)
  if (sentence !== undefined) return `tallyman: ${sentence}`
  if (isStorageUnavailable(error)) {
    return `tallyman: a store does not answer (${error.message}); check DATABASE_URL and REDIS_URL, and that the servers run`
  }
  const remedy = 'code' in error ? REMEDIES[String(error.code)] : undefined
  if (remedy !== undefined) return `tallyman: PostgreSQL refused (${error.message}); ${remedy}`
  return `tallyman: ${error.stack ?? error.message}`
}
