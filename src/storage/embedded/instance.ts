import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { PGlite } from '@electric-sql/pglite'
import { messageOf } from '../../runtime/error-message.js'
import { exists } from '../../runtime/exists.js'
import { undoFailedCreations } from './failed-creations.js'
import { EmbeddedDatabaseFailed } from './failure.js'
import type { SharedMemory } from './shared-memory.js'
import {
  countedRun,
  createClearFlags,
  createSharedMemory,
  runningStatementOf,
  sharedOptions,
  shareLibraries,
  type RunningStatement,
} from './statement-limit.js'
import { createPause } from '../../runtime/yield.js'

/** Milliseconds of consecutive statements before the event loop turns. */
const LONGEST_WITHOUT_TURN_MS = 5
/** An answer arrives in the microtasks of its statement, or never. The time is a margin. */
const NO_ANSWER_MS = 5_000
/** The status with which PGlite leaves its main loop after an error from which PostgreSQL recovers. */
const RECOVERED = 100
/** The messages of the protocol that PostgreSQL always answers with ReadyForQuery: Query and Sync. */
const ANSWERED_BY_READY: ReadonlySet<number | undefined> = new Set(['Q', 'S'].map((type) => type.charCodeAt(0)))
/** The lines of PostgreSQL's log that contain the reason why an instance ended. */
const REASON = /^(?:\S+ \S+ \S+ \[\d+\] )?(?:PANIC|FATAL): +(.*)/

/**
 * PostgreSQL's message (SQLSTATE 58P02) for a file or directory that it cannot create. The path begins at the directory of the
 * database.
 */
const EXISTS = /^could not create (?:file|directory) "([^"]+)": File exists$/

/**
 * One thread compiles a function of the WebAssembly module when it is first called. Node.js never frees the memory of compiling
 * threads: compiling the whole module on all threads takes 60 MB more for as long as the process runs.
 */
setFlagsFromString('--wasm-lazy-compilation')
setFlagsFromString('--wasm-num-compilation-tasks=1')

/**
 * PostgreSQL's defaults are for a server: 128 MB of buffers, all of them in the memory of this process. A limit of the log has no
 * effect here (checkpoint.ts).
 */
const SETTINGS = [
  ...['-c', 'shared_buffers=64MB'],
  // A recycled segment of the log is an old segment under a new name: it contains deleted rows.
  ...['-c', 'wal_recycle=off'],
]

const ADVICE =
  'All confirmed writes are stored: free space on its disk if that is full, and start again; if it fails again, restore the newest dump (docs/operations.md)'

type Execute = PGlite['execProtocolStream']

/**
 * The WebAssembly instance of PostgreSQL, with features that PGlite lacks.
 * - All answers arrive in microtasks, so the statements of a job would run without a turn of the event loop. No request would be read
 *   until the end of the job. Here the event loop turns between statements.
 * - Another thread can end a running statement (`RunningStatement`), if `canEndStatements` is set.
 * - PGlite swallows the exit of its instance (a PANIC of PostgreSQL or an abort): its promises then never settle, or its main
 *   loop spins, also during a start. Here the exit is an error, and every later statement fails with the same error.
 */
export class EmbeddedInstance extends PGlite {
  /** The reason why the instance executes no more statements. */
  failure: EmbeddedDatabaseFailed | undefined
  /** Is called once when the instance has failed. */
  onFailure: (failure: EmbeddedDatabaseFailed) => void = () => undefined
  private readonly pause = createPause(LONGEST_WITHOUT_TURN_MS)
  private readonly reasons: string[]
  private readonly memory: SharedMemory | undefined
  private isWatched = false
  private statement: RunningStatement | undefined

  /**
   * @param directory of the database, with its files
   * @param options
   * - `noAnswerMs`: how long the answer to a statement may take, without the time in which the statement runs
   * - `canEndStatements`: another thread can end a statement. Only for an instance that lives as long as its process, because V8's
   *   garbage collector ignores the memory that this takes
   * - `isHeld`: whether this process still has the lock of the directory
   */
  constructor(
    readonly directory: string,
    private readonly options: { noAnswerMs?: number; canEndStatements?: boolean; isHeld?: () => boolean } = {},
  ) {
    const reasons: string[] = []
    const memory = options.canEndStatements === true ? createSharedMemory() : undefined
    const shared = memory && sharedOptions(memory)
    super(directory, {
      ...shared,
      extensions: { ...shared?.extensions, undoFailedCreations },
      startParams: [...PGlite.defaultStartParams, ...SETTINGS],
      onStderr: (line) => {
        const [, reason] = REASON.exec(line) ?? []
        if (reason !== undefined) reasons.push(reason)
        return false
      },
    })
    this.reasons = reasons
    this.memory = memory
  }

  /**
   * Resolves when statements can be executed.
   * @returns the state by which another thread can end a statement; undefined without `canEndStatements`
   * @throws EmbeddedDatabaseFailed
   */
  async opened(): Promise<RunningStatement | undefined> {
    try {
      await this.waitReady
      this.watchMainLoop()
      return this.statement
    } catch (error) {
      throw this.fail(messageOf(error))
    }
  }

  override async execProtocolStream(...[message, options]: Parameters<Execute>): ReturnType<Execute> {
    await this.pause()
    // The last message of a pool ends its connection, and may arrive after the instance was closed during the pause.
    if (this.closed) return []
    if (this.failure) throw this.failure
    if (this.options.isHeld?.() === false) {
      const advice = 'Use a data directory for one process alone'
      throw this.fail('another process has taken its directory while this one was suspended', advice)
    }
    let timer: NodeJS.Timeout | undefined
    const silence = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(this.fail('a statement was never answered'))
      }, this.options.noAnswerMs ?? NO_ANSWER_MS)
    })
    try {
      const answer = await Promise.race([super.execProtocolStream(message, options), silence])
      if (ANSWERED_BY_READY.has(message[0]) && !answer.some(({ name }) => name === 'readyForQuery'))
        throw new Error('a statement was answered in part')
      for (const part of answer) if (part instanceof Error) this.checkExistence(part.message)
      return answer
    } catch (error) {
      throw this.fail((error as Error).message)
    } finally {
      clearTimeout(timer)
    }
  }

  // PGlite calls this first after an instance has started.
  override async _initArrayTypes(options?: { force?: boolean }): Promise<void> {
    this.watchMainLoop()
    return super._initArrayTypes(options)
  }

  override async close(): Promise<void> {
    // A failed instance spins during a shutdown, and an instance without the lock would write into another process's directory.
    if (!this.failure && this.options.isHeld?.() !== false) await super.close()
  }

  /**
   * If a file cannot be created because it exists, and it is not on the disk, the instance has a wrong table of its files. Only a new
   * process reads them again.
   * @param message of an error of PostgreSQL
   * @throws if the table is wrong
   */
  private checkExistence(message: string): void {
    const [, file] = EXISTS.exec(message) ?? []
    if (file !== undefined && !exists(join(this.directory, file))) throw new Error(`${message}, but it is missing`)
  }

  private fail(what: string, advice = ADVICE): EmbeddedDatabaseFailed {
    if (this.failure) return this.failure
    const reason = advice === ADVICE ? (this.reasons.at(-1) ?? what) : what
    this.failure = new EmbeddedDatabaseFailed(`the embedded database in ${this.directory} failed: ${reason}. ${advice}`)
    this.onFailure(this.failure)
    return this.failure
  }

  /** Makes the exit of the instance an error: PGlite's own loop continues after an exit, for ever if a message was not read to its end. */
  private watchMainLoop(): void {
    if (this.isWatched) return
    this.isWatched = true
    const { Module: instance } = this
    if (this.memory) {
      shareLibraries(instance)
      this.statement = runningStatementOf(instance, this.memory)
    }
    const { statement } = this
    const clearFlags = createClearFlags(instance)
    const loopOnce = instance._PostgresMainLoopOnce
    instance._PostgresMainLoopOnce = () => {
      try {
        clearFlags()
        if (statement) countedRun(statement, loopOnce)
        else loopOnce()
      } catch (error) {
        if ((error as { status?: unknown }).status !== RECOVERED) {
          const failure = this.fail((error as Error).message)
          // The loop calls these functions next. It catches an error of the first call, but not of the second.
          instance._PostgresSendReadyForQueryIfNecessary = () => undefined
          instance._pgl_pq_flush = () => undefined
          instance.stackRestore = () => {
            throw failure
          }
        }
        throw error
      }
    }
  }
}
