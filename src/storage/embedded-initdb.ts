import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { EmbeddedDatabaseFailed } from './embedded-failure.js'

const run = promisify(execFile)

/** A creation takes some seconds; one that cannot write may spin. */
const LONGEST_MS = 120_000

/** Is run by another Node.js with the file of PGlite and the directory of the new database. */
const CREATE = `
  const [, pglite, directory] = process.argv
  require(pglite).PGlite.create(directory).then((database) => database.close())
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
  for (const left of readdirSync(directory).filter((name) => name.startsWith(prefix)))
    rmSync(join(directory, left), { recursive: true, force: true })
  // A process that was orphaned may still write into another directory.
  const draft = join(directory, `${prefix}${process.pid}`)
  try {
    mkdirSync(draft, { mode: 0o700 })
    const pglite = createRequire(import.meta.url).resolve('@electric-sql/pglite')
    await run(process.execPath, ['-e', CREATE, pglite, draft], { timeout: LONGEST_MS, killSignal: 'SIGKILL' })
    renameSync(draft, data)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    throw new EmbeddedDatabaseFailed(
      `the embedded database cannot be created in ${data}: ${reasonOf(error)}. Check that its disk has 100 MB free, and who may write there`,
    )
  }
}

/** Of a process that ended: the line of its output that names an error. */
const reasonOf = (error: unknown): string => {
  const { message, stderr, killed } = error as Error & { stderr?: string; killed?: boolean }
  if (killed === true) return `no answer within ${LONGEST_MS / 1000} s`
  const named = stderr?.split('\n').find((line) => /^\w*Error\b.*:/.test(line))
  return named ?? message.split('\n', 1)[0] ?? message
}
