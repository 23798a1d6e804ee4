import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { EmbeddedDatabaseFailed } from './failure.js'
import { END_WITH_PARENT } from '../../runtime/end-with-parent.js'
import { freeBytes } from '../../runtime/free-space.js'

const run = promisify(execFile)

/** A creation takes some seconds; one that cannot write may spin. */
const LONGEST_MS = 120_000
/** What initdb takes, with Node.js itself: 0.9 GB were measured. */
const MEMORY_MB = 900

/** Is run by another Node.js with the file of PGlite and the directory of the new database. */
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
 * Makes the files of a new, empty database. PostgreSQL's initdb takes 800 MB, which a process returns late if at all, so it
 * runs in a process of its own. The files appear at `data` at once and complete, whatever ends this process meanwhile.
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

/** Best effort: another process may still write there, and each draft has a name of its own. */
const remove = (draft: string): void => {
  try {
    rmSync(draft, { recursive: true, force: true })
  } catch {
    // The next creation tries again.
  }
}

/** Why a process ended: its signal, the last line that it wrote, or what kept it from starting. */
const reasonOf = (error: unknown): string => {
  const { message, stderr, killed, signal } = error as Error & { stderr?: string; killed?: boolean; signal?: string }
  if (killed === true) return `no answer within ${LONGEST_MS / 1000} s`
  if (typeof signal === 'string') return `the process was killed (${signal}); it needs about ${MEMORY_MB} MB of memory`
  const line = stderr?.trim().split('\n').at(-1) ?? ''
  return line === '' ? message : line
}
