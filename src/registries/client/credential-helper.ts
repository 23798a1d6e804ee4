import { execFile } from 'node:child_process'
import { isFields, type Fields } from '../../events/json.js'
import type { Credentials } from './credentials.js'
import { RegistryError } from './exchange.js'

const TIME_LIMIT_MS = 10_000
const LARGEST_OUTPUT = 64 * 1024
/** The message of helpers, with exit status 1, if they have no credentials for a server. */
const NOT_FOUND = /credentials not found/i
/** The user name that marks the secret as a refresh token. */
const TOKEN_USER = '<token>'

/**
 * Asks `docker-credential-NAME get` for the credentials of a server (docker-credential-helpers, "Development"). The program
 * runs without a shell, for at most 10 s.
 * @param name letters, digits, `.`, `_` and `-`; the program is searched in the PATH of `env`
 * @returns undefined if the helper has no credentials for the server
 * @throws RegistryError that names the program, without its output, which may contain secrets
 */
export const askCredentialHelper = async (
  name: string,
  server: string,
  env?: NodeJS.ProcessEnv,
): Promise<Credentials | undefined> => {
  const program = `docker-credential-${name}`
  const { output, failed } = await run(program, server, env)
  if (failed !== undefined) {
    if (NOT_FOUND.test(output)) return undefined
    throw new RegistryError(`${program} ${failed} when asked for ${server}`)
  }
  const { Username, Secret } = fieldsIn(output)
  if (typeof Username !== 'string' || typeof Secret !== 'string') {
    throw new RegistryError(`${program} answered without Username and Secret when asked for ${server}`)
  }
  return Username === TOKEN_USER ? { identityToken: Secret } : { username: Username, password: Secret }
}

const run = async (
  program: string,
  input: string,
  env: NodeJS.ProcessEnv | undefined,
): Promise<{ output: string; failed?: string }> =>
  new Promise((resolve) => {
    const options = { timeout: TIME_LIMIT_MS, maxBuffer: LARGEST_OUTPUT, killSignal: 'SIGKILL' as const }
    const child = execFile(program, ['get'], { ...options, ...(env && { env }) }, (error, stdout) => {
      resolve(error ? { output: stdout, failed: failureOf(error) } : { output: stdout })
    })
    // The program may end without reading its input.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })

const failureOf = ({ code, killed }: { code?: string | number | null; killed?: boolean }): string => {
  if (code === 'ENOENT') return 'is not on the PATH'
  if (code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') return 'printed too much'
  if (killed) return 'did not answer in time'
  return `failed (${code ?? 'ended by a signal'})`
}

const fieldsIn = (output: string): Fields => {
  try {
    const value: unknown = JSON.parse(output)
    return isFields(value) ? value : {}
  } catch {
    return {}
  }
}
