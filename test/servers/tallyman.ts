import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { promisify } from 'node:util'
import type { CommandContext } from '../../src/cli/command-context.js'
import { runCommand } from '../../src/cli/program.js'
import { inherited } from './process.js'
import { ROOT } from './service.js'

const run = promisify(execFile)
export type Result = { code: number; out: string; err: string }
type Environment = Record<string, string>

const variables = (environment: Environment): Environment => ({ ...inherited(), ...environment })

const collector = (): { stream: Writable; text: () => string } => {
  const chunks: Buffer[] = []
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      chunks.push(chunk)
      done()
    },
  })
  return { stream, text: () => Buffer.concat(chunks).toString() }
}

/** Runs a command line inside the test, with only the environment that is given. */
export const tallyman = async (environment: Environment, ...args: string[]): Promise<Result> =>
  runOn({}, environment, args)

/** The same as if standard output were a terminal of so many columns. */
export const tallymanOnTerminal = async (
  columns: number,
  environment: Environment,
  ...args: string[]
): Promise<Result> => runOn({ isTTY: true, columns }, environment, args)

const runOn = async (
  terminal: { isTTY?: boolean; columns?: number },
  environment: Environment,
  args: readonly string[],
): Promise<Result> => {
  const [out, err] = [collector(), collector()]
  const stdout = Object.assign(out.stream, terminal)
  const context: CommandContext = { env: variables(environment), stdout, stderr: err.stream }
  await runCommand(args, context)
  return { code: Number(context.exitCode ?? 0), out: out.text(), err: err.text() }
}

/** The same with the built program, in a process of its own that has to end by itself. */
export const spawnTallyman = async (environment: Environment, ...args: string[]): Promise<Result> => {
  const options = { cwd: environment.TALLYMAN_DATA_DIR ?? ROOT, env: variables(environment) }
  try {
    const { stdout, stderr } = await run(process.execPath, [join(ROOT, 'dist', 'main.js'), ...args], options)
    return { code: 0, out: stdout, err: stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, out: stdout, err: stderr }
  }
}
