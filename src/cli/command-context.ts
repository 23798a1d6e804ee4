import { AsyncLocalStorage } from 'node:async_hooks'

type Output = NodeJS.WritableStream & { isTTY?: boolean; columns?: number }

/** The parts of the process that a command uses. */
export type CommandContext = {
  /** `--config` and `--listen` set variables here. */
  env: NodeJS.ProcessEnv
  stdout: Output
  stderr: Output
  /** Unset, or 0, after a success. */
  exitCode?: typeof process.exitCode
}

const contexts = new AsyncLocalStorage<CommandContext>()

/** The context of the running command: the process, or in tests, which run several commands in one process, a separate one. */
export const context = (): CommandContext => contexts.getStore() ?? process

/**
 * Runs a command in a context. The process itself needs no AsyncLocalStorage: once one is used, Node.js 20 tracks every promise and
 * every request, which cost the service a fifth of its time.
 */
export const runInContext = async <T>(of: CommandContext, work: () => Promise<T>): Promise<T> =>
  of === process ? work() : contexts.run(of, work)
