import { AsyncLocalStorage } from 'node:async_hooks'

type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number }

/** What a command reads from and writes to the process that runs it. */
export type CommandContext = {
  /** `--config` and `--listen` set variables here. */
  env: NodeJS.ProcessEnv
  stdout: Output
  stderr: Output
  /** Unset, or 0, after a success. */
  exitCode?: typeof process.exitCode
}

const contexts = new AsyncLocalStorage<CommandContext>()

/** The context of the command that runs: its own in tests, which run several in one process; otherwise that of the process. */
export const context = (): CommandContext => contexts.getStore() ?? process

/**
 * Runs a command in a context. The process itself needs none: from the first store on, Node.js 20 follows every promise and every
 * request, which took the service a fifth of its time.
 */
export const runInContext = async <T>(of: CommandContext, work: () => Promise<T>): Promise<T> =>
  of === process ? work() : contexts.run(of, work)
