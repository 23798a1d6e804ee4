/**
 * The embedded database cannot be used: it did not open, or it ended while the process goes on, as PostgreSQL does when it cannot
 * write its log. Only a new process can open it again; what was answered is stored. The message is a sentence for the operator.
 */
export class EmbeddedDatabaseFailed extends Error {
  // Known by its name where PGlite, which takes long to load, is not needed otherwise.
  override readonly name = 'EmbeddedDatabaseFailed'
  /** SQLSTATE crash_shutdown: a request that fails with it may work after a restart. */
  readonly code = '57P02'
}
