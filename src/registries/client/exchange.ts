import { pauseIn } from '../../events/retry-after.js'
import { boundedBody } from '../../runtime/bounded-body.js'
import { UserError } from '../../runtime/user-error.js'

/** An error of a registry. The message is one sentence that names the registry and contains no secret. */
export class RegistryError extends UserError {
  override readonly kind = 'upstream'
}

/** The registry has a manifest of this digest, but the bytes are not a readable manifest. Only its contents are unknown. */
export class UnreadableManifest extends RegistryError {}

/** An answer exceeds the size limit. */
export class AnswerTooLarge extends RegistryError {}

/** The registry, or a service that it needs, is unavailable: no request would succeed now. */
export class RegistryUnavailable extends RegistryError {}

/** The registry, or its token service, did not answer in time. */
export class RegistrySilent extends RegistryUnavailable {}

/** The registry, or its token service, asks to slow down: the same request may be sent later. */
export class RegistryBusy extends RegistryUnavailable {
  constructor(
    message: string,
    /** The requested pause in milliseconds; undefined if the answer has none. */
    readonly retryAfterMs: number | undefined,
  ) {
    super(message)
  }
}

/** The error for an answer with an unexpected status. */
export const statusError = (
  answer: Pick<RegistryResponse, 'status' | 'headers'>,
  message: string,
  now: Date,
): RegistryError => {
  const pause = pauseIn(answer, now)
  if (pause) return new RegistryBusy(`${message}: it asks to slow down`, pause.retryAfterMs)
  return answer.status >= 500 ? new RegistryUnavailable(message) : new RegistryError(message)
}

/** The size limit of an answer in bytes: the size of manifests that registries accept (4 MiB in distribution-spec 1.1). */
const LARGEST_ANSWER = 4 * 1024 * 1024

type ExchangeRequest = {
  url: URL
  method?: 'GET' | 'HEAD' | 'POST'
  headers?: Record<string, string>
  form?: URLSearchParams
  /** Ends the exchange, also while the body of the answer is read. */
  signal: AbortSignal
  /** The size limit of the answer in bytes; default: the limit of a manifest. */
  largestAnswer?: number
}
export type RegistryResponse = { status: number; headers: Headers; body: Buffer }

/**
 * Sends one request and returns the whole answer, whatever its status. Redirects are returned as answers and not followed.
 * @throws RegistryUnavailable if the host does not answer, or not in time; AnswerTooLarge if the answer exceeds the size limit
 */
export type Exchange = (request: ExchangeRequest) => Promise<RegistryResponse>

/** @param userAgent identifies our own reads in the notifications of the registry */
export const createExchange =
  (userAgent: string): Exchange =>
  async ({ url, method = 'GET', headers = {}, form, signal, largestAnswer = LARGEST_ANSWER }) => {
    try {
      const response = await fetch(url, {
        method,
        headers: { 'user-agent': userAgent, ...headers },
        redirect: 'manual',
        signal,
        ...(form && { body: form }),
      })
      return {
        status: response.status,
        headers: response.headers,
        body: await boundedBody(response, largestAnswer, () => new TooLarge(largestAnswer)),
      }
    } catch (error) {
      if (error instanceof TooLarge) throw new AnswerTooLarge(`${url.host} ${error.message}`)
      if (signal.aborted) throw new RegistrySilent(`${url.host} did not answer in time`)
      throw new RegistryUnavailable(`${url.host} ${failureOf(error)}`)
    }
  }

class TooLarge extends Error {
  constructor(bytes: number) {
    super(`answered with more than ${bytes / 1024 / 1024} MiB`)
  }
}

const failureOf = (error: unknown): string => {
  const { code } = ((error as { cause?: unknown }).cause ?? {}) as { code?: unknown }
  return typeof code === 'string' ? `cannot be reached (${code})` : 'cannot be reached'
}
