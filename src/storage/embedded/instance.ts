import { setFlagsFromString } from 'node:v8'
import { PGlite } from '@electric-sql/pglite'
import { messageOf } from '../../runtime/error-message.js'
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

/** Milliseconds of statements that follow each other before the event loop turns. */
const LONGEST_WITHOUT_TURN_MS = 5
/** An answer comes in the microtasks of its statement, or never; the time is a reserve. */
const NO_ANSWER_MS = 5_000
/** The status with which PGlite leaves its main loop after an error that PostgreSQL recovers from. */
const RECOVERED = 100
/** Messages of the protocol that PostgreSQL answers with ReadyForQuery, whatever it did: Query and Sync. */
const ANSWERED_BY_READY: ReadonlySet<number | undefined> = new Set(['Q', 'S'].map((type) => type.charCodeAt(0)))
/** Lines of PostgreSQL's log that say why an instance ended. */
const REASON = /^(?:\S+ \S+ \S+ \[\d+\] )?(?:PANIC|FATAL): +(.*)/

/**
 * Functions of the WebAssembly module are compiled when they are first called, by one thread. Node.js keeps the memory of each
 * thread that compiled: the whole module on all threads takes 60 MB more for as long as the process runs.
 */
setFlagsFromString('--wasm-lazy-compilation')
setFlagsFromString('--wasm-num-compilation-tasks=1')

/**
 * PostgreSQL's defaults are for a server: 128 MB of buffers, all of them in the memory of this process. A limit of the log has no
 * effect here (embedded-checkpoint.ts).
 */
const SETTINGS = [
  ...['-c', 'shared_buffers=64MB'],
  // A recycled segment of the log is an old one under a new name: it contains what was deleted.
  ...['-c', 'wal_recycle=off'],
]

const ADVICE =
  'What was answered is stored: free space on its disk if that is full, and start again; if it fails again, put the newest dump back (docs/operations.md)'

type Execute = PGlite['execProtocolStream']

/**
 * The WebAssembly instance of PostgreSQL, with what PGlite lacks.
 * - All its answers come in microtasks, so the statements of a job would follow each other without one turn of the event loop,
 *   and no request would be read until the job is done. Here the event loop turns between two statements.
 * - Another thread can end a statement that runs (`RunningStatement`), if that is wanted.
 * - PGlite swallows the exit of its instance, be it a PANIC of PostgreSQL or an abort: its promises never settle then, or its main
 *   loop spins, also during a start. Here the exit is an error, and every statement after it fails with the same error.
 */
export class EmbeddedInstance extends PGlite {
  /** Why the instance executes nothing any more. */
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
   * - `noAnswerMs`: how long a statement may take to be answered, without the time in which it runs
   * - `canEndStatements`: another thread can end a statement. V8 does not count the memory that this takes when it decides when to
   *   collect garbage: for an instance that lives as long as its process
   * - `isHeld`: whether the directory is still this process's
   */
  constructor(
    readonly directory: string,
    private readonly options: { noAnswerMs?: number; canEndStatements?: boolean; isHeld?: () => boolean } = {},
  ) {
    const reasons: string[] = []
    const memory = options.canEndStatements === true ? createSharedMemory() : undefined
    super(directory, {
      ...(memory && sharedOptions(memory)),
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

  /** Resolves when statements can be executed. @returns what ends one of them from another thread @throws EmbeddedDatabaseFailed */
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
    // The last message of a pool says that its connection ends, and may come after the pause in which the instance was closed.
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
      return answer
    } catch (error) {
      throw this.fail((error as Error).message)
    } finally {
      clearTimeout(timer)
    }
  }

  // The first that PGlite does with an instance that has started.
  override async _initArrayTypes(options?: { force?: boolean }): Promise<void> {
    this.watchMainLoop()
    return super._initArrayTypes(options)
  }

  override async close(): Promise<void> {
    // A failed instance spins when it is asked to shut down, and one without its directory would write there.
    if (!this.failure && this.options.isHeld?.() !== false) await super.close()
  }

  private fail(what: string, advice = ADVICE): EmbeddedDatabaseFailed {
    if (this.failure) return this.failure
    const reason = advice === ADVICE ? (this.reasons.at(-1) ?? what) : what
    this.failure = new EmbeddedDatabaseFailed(`the embedded database in ${this.directory} failed: ${reason}. ${advice}`)
    this.onFailure(this.failure)
    return this.failure
  }

  /** PGlite's own loop goes on after an exit, for ever if the message was not read to its end. */
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
          // The loop calls these next, and catches what the first of its calls throws, but not what the second does.
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
