import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, renameSync, rmSync, statfsSync } from 'node:fs'
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
  require(pglite).PGlite.create(directory).then((database) => database.close()).catch((error) => {
    require('node:fs').writeSync(2, (error.message ?? String(error)) + '\\n')
    process.exit(1)
  })
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
    const { bavail, bsize } = statfsSync(directory)
    rmSync(draft, { recursive: true, force: true })
    throw new EmbeddedDatabaseFailed(
      `the embedded database cannot be created in ${data}: ${reasonOf(error)}. ` +
        `Its disk has ${Math.floor((bavail * bsize) / 2 ** 20)} MiB free, and 100 are needed; or nothing can be written there`,
    )
  }
}

/** Why a process ended: the last line that it wrote, or what kept it from starting. */
const reasonOf = (error: unknown): string => {
  const { message, stderr, killed } = error as Error & { stderr?: string; killed?: boolean }
  if (killed === true) return `no answer within ${LONGEST_MS / 1000} s`
  return stderr?.trim().split('\n').at(-1) ?? message
}
