import type { Config } from '../../config/config.js'
import { isSendable } from '../../tokens/token-text.js'
import { loadSecrets } from '../../config/secrets.js'
import { directoryHolder } from '../../storage/directory-lock.js'
import { UserError } from '../../runtime/user-error.js'

/** The running service refused a command. */
export class ServiceError extends UserError {
  override readonly kind = 'setup'
}

/** The service that has the embedded database open, so that no other process can open it. */
export type ServiceClient = {
  get: (path: string) => Promise<unknown>
  post: (path: string, body?: unknown) => Promise<unknown>
  /** The chunks of an answer as they arrive. */
  lines: (path: string, method?: 'GET' | 'POST') => AsyncIterable<Uint8Array>
}

/** The reason in a message about an invalid, forbidden or too slow request, which does not depend on the service. */
const reasonOf = (message: string | undefined): string | undefined =>
  /^(?:400 Bad Request|403 Forbidden|504 Gateway Timeout): (.+)/.exec(message ?? '')?.[1]

/** The reason of a failed request: `fetch` stores the error of the socket in `cause`. */
const codeOf = (error: unknown): string => {
  const { cause = error } = error as { cause?: unknown }
  const { code, message } = cause as NodeJS.ErrnoException
  return code ?? message
}

/** A client of the running service of this data directory; undefined if the stores can be opened directly. */
export const findService = (config: Config): ServiceClient | undefined => {
  if (config.database_url !== undefined) return undefined
  const listen = directoryHolder(config.data_dir)?.listen
  if (listen === undefined) return undefined
  const { apiTokens } = loadSecrets({
    dataDir: config.data_dir,
    notificationTokens: config.notification_tokens,
    apiTokens: config.api_tokens,
    usersKey: config.users_key,
  })
  const token = apiTokens.find((one) => isSendable(one.token))?.token ?? ''

  const request = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    }
    const response = await fetch(new URL(path, listen), {
      method,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }).catch((error: unknown) => {
      throw new ServiceError(
        `the service that uses ${config.data_dir} cannot be reached at ${listen} (${codeOf(error)}); run the command where this ` +
          'address is reachable, as in the container of the service, or stop the service',
      )
    })
    if (response.ok) return response
    const { message } = (await response.json().catch(() => ({}))) as { message?: string }
    throw new ServiceError(reasonOf(message) ?? `the service at ${listen} answered ${message ?? response.status}`)
  }
  return {
    get: async (path) => (await request('GET', path)).json(),
    post: async (path, body) => (await request('POST', path, body)).json(),
    lines: async function* (path, method = 'GET') {
      yield* (await request(method, path)).body ?? []
    },
  }
}
