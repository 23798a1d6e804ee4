import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { eventually, freePort, startProcess, temporaryFolder, type RunningProcess } from './process.js'

export type PostgresServer = {
  /** Of the database `tallyman`; others by `database`. */
  url: string
  /** Makes an empty database and answers its URL. */
  database: (name: string) => Promise<string>
  pid: () => number
  hasEnded: () => boolean
  /** Process ids of its backends and helpers. */
  backends: () => Promise<number[]>
  /** kill -9 of the server and, with it, its backends. */
  kill: () => Promise<void>
  /** A fast shutdown, with a checkpoint. */
  end: () => Promise<void>
  /** Starts it again on the same port and data. */
  start: () => Promise<void>
  /** Answers a function that restores the contents of now, as of a backup. Both stop the server and start it again. */
  backUp: () => Promise<() => Promise<void>>
  stop: () => Promise<void>
}

/**
 * A private PostgreSQL in a temporary folder.
 * @param options `settings` of its configuration: without them, a commit waits for the disk; `parent`, an existing directory for its
 * data, instead of the temporary folder
 */
export const startPostgres = async ({
  settings = ['fsync=on', 'synchronous_commit=on'],
  parent,
}: {
  settings?: string[]
  parent?: string
} = {}): Promise<PostgresServer> => {
  const port = await freePort()
  const folder = temporaryFolder('postgres')
  const owner = unprivileged()
  if (owner) for (const path of [folder.path, parent ?? folder.path]) chownSync(path, owner.uid, owner.gid)
  const data = join(parent ?? folder.path, 'data')
  const initialise = ['-D', data, '-A', 'trust', '-U', 'postgres', '--no-sync', '-E', 'UTF8', '--locale=C']
  execFileSync(postgresProgram('initdb'), initialise, { ...owner, stdio: 'ignore' })

  let server: RunningProcess
  const urlOf = (database: string): string => `postgres://postgres@127.0.0.1:${port}/${database}`
  const query = async (database: string, text: string): Promise<void> => {
    const client = new pg.Client({ connectionString: urlOf(database), connectionTimeoutMillis: 1_000 })
    client.on('error', () => undefined)
    try {
      await client.connect()
      await client.query(text)
    } finally {
      await client.end().catch(() => undefined)
    }
  }
  const start = async (): Promise<void> => {
    const named = ['listen_addresses=127.0.0.1', ...settings].flatMap((one) => ['-c', one])
    const options = ['-D', data, '-p', String(port), '-k', folder.path, ...named]
    server = startProcess(postgresProgram('postgres'), options, owner)
    await eventually('PostgreSQL answers', async () => query('postgres', 'select 1').then(() => true))
  }
  await start()
  const database = async (name: string): Promise<string> => {
    await query('postgres', `create database ${name}`)
    return urlOf(name)
  }
  return {
    url: await database('tallyman'),
    database,
    pid: () => server.child.pid ?? 0,
    hasEnded: () => server.child.exitCode !== null || server.child.signalCode !== null,
    backends: async () => {
      const pid = server.child.pid ?? 0
      const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      return Promise.resolve(children.trim().split(' ').map(Number))
    },
    kill: async () => {
      await server.end('SIGKILL')
    },
    end: async () => {
      await server.end('SIGINT')
    },
    start,
    backUp: async () => {
      const backup = `${data}-of-backup`
      await server.end('SIGINT')
      rmSync(backup, { recursive: true, force: true })
      execFileSync('cp', ['-a', data, backup])
      await start()
      return async () => {
        await server.end('SIGQUIT')
        rmSync(data, { recursive: true })
        execFileSync('cp', ['-a', backup, data])
        await start()
      }
    },
    stop: async () => {
      await server.end('SIGQUIT')
      folder.remove()
    },
  }
}

/** PostgreSQL refuses to run as root; Debian's package brings a user for it. */
const unprivileged = (): { uid: number; gid: number } | undefined => {
  if (process.getuid?.() !== 0) return undefined
  const id = (flag: string): number => Number(execFileSync('id', [flag, 'postgres'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

/** A program of PostgreSQL: of the newest version in Debian's place, else on the PATH. */
export const postgresProgram = (name: string): string => {
  const versions = '/usr/lib/postgresql'
  if (!existsSync(versions)) return name
  const newest = readdirSync(versions).sort((a, b) => Number(b) - Number(a))[0]
  return newest === undefined ? name : join(versions, newest, 'bin', name)
}
