/**
 * The embedded database cannot be used: it did not open, or it ended while the process continues, as PostgreSQL does if it cannot
 * write its log. Only a new process can open it. All confirmed writes are stored. The message is a sentence for the operator.
 */
export class EmbeddedDatabaseFailed extends Error {
  // Recognised by its name, so that other code need not load PGlite, which takes long.
  override readonly name = 'EmbeddedDatabaseFailed'
  /** SQLSTATE crash_shutdown: a request that fails with it may work after a restart. */
  readonly code = '57P02'
}
