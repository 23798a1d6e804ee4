import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { inherited } from './process.js'
import { ROOT } from './service.js'

const run = promisify(execFile)
export type Result = { code: number; out: string; err: string }

/** Runs the command line with only the environment that is given. */
export const tallyman = async (environment: Record<string, string>, ...args: string[]): Promise<Result> => {
  const options = { cwd: environment.TALLYMAN_DATA_DIR ?? ROOT, env: { ...inherited(), ...environment } }
  try {
    const { stdout, stderr } = await run(process.execPath, [join(ROOT, 'dist', 'main.js'), ...args], options)
    return { code: 0, out: stdout, err: stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, out: stdout, err: stderr }
  }
}
