import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { EmbeddedDatabaseFailed } from './failure.js'
import { END_WITH_PARENT } from '../../runtime/end-with-parent.js'
import { freeBytes } from '../../runtime/free-space.js'

const run = promisify(execFile)

/** A creation takes some seconds. If initdb cannot write, it may spin. */
const LONGEST_MS = 120_000
/** The memory of initdb, including Node.js: 0.9 GB were measured. */
const MEMORY_MB = 900

/** The source of another Node.js process. Its arguments are the file of PGlite and the directory of the new database. */
const CREATE = `
  const [, pglite, directory] = process.argv
  ${END_WITH_PARENT}
  require(pglite).PGlite.create(directory).then((database) => database.close()).then(
    () => process.exit(0),
    (error) => {
      require('node:fs').writeSync(2, (error.message ?? String(error)) + '\\n')
      process.exit(1)
    },
  )
`

/**
 * Creates the files of a new, empty database. PostgreSQL's initdb takes 800 MB, which a process returns late or never to the system,
 * so it runs in a separate process. The files appear at `data` all at once, even if this process ends early.
 * @param data the directory of the database: missing or empty
 * @throws EmbeddedDatabaseFailed
 */
export const createDatabaseFiles = async (data: string): Promise<void> => {
  const directory = dirname(data)
  const prefix = `${basename(data)}.new-`
  for (const left of readdirSync(directory).filter((name) => name.startsWith(prefix))) remove(join(directory, left))
  let draft: string | undefined
  try {
    draft = mkdtempSync(join(directory, prefix))
    const pglite = createRequire(import.meta.url).resolve('@electric-sql/pglite')
    await run(process.execPath, ['-e', CREATE, pglite, draft], { timeout: LONGEST_MS, killSignal: 'SIGKILL' })
    renameSync(draft, data)
  } catch (error) {
    if (draft !== undefined) remove(draft)
    throw new EmbeddedDatabaseFailed(
      `the embedded database cannot be created in ${data}: ${reasonOf(error)}. ` +
        `Its disk has ${Math.floor(freeBytes(directory) / 2 ** 20)} MiB free, and 100 are needed; or nothing can be written there`,
    )
  }
}

/** Best effort: another process may still write there, and each draft has its own name. */
const remove = (draft: string): void => {
  try {
    rmSync(draft, { recursive: true, force: true })
  } catch {
    // The next creation tries again.
  }
}

/** Why a process ended: its signal, its last line of output, or the error of its start. */
const reasonOf = (error: unknown): string => {
  const { message, stderr, killed, signal } = error as Error & { stderr?: string; killed?: boolean; signal?: string }
  if (killed === true) return `no answer within ${LONGEST_MS / 1000} s`
  if (typeof signal === 'string') return `the process was killed (${signal}); it needs about ${MEMORY_MB} MB of memory`
  const line = stderr?.trim().split('\n').at(-1) ?? ''
  return line === '' ? message : line
}
