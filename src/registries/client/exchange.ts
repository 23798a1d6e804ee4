import { pauseIn } from '../../events/retry-after.js'

/** What went wrong with a registry, as one sentence that names it and holds no secret. */
export class RegistryError extends Error {}

/** The registry has a manifest of this digest, but the bytes are no manifest that can be read: nothing but its contents is unknown. */
export class UnreadableManifest extends RegistryError {}

/** An answer has more bytes than are read. */
export class AnswerTooLarge extends RegistryError {}

/** The registry, or what it needs to answer, is away: nobody would get an answer now, whatever is asked. */
export class RegistryUnavailable extends RegistryError {}

/** The registry, or its token service, did not answer in time. */
export class RegistrySilent extends RegistryUnavailable {}

/** The registry, or its token service, asks to slow down: the same request is welcome later. */
export class RegistryBusy extends RegistryUnavailable {
  constructor(
    message: string,
    /** How long it asks to wait, in milliseconds; undefined if it does not say. */
    readonly retryAfterMs: number | undefined,
  ) {
    super(message)
  }
}

/** The error of an answer that is not the expected one. */
export const statusError = (answer: Pick<Answer, 'status' | 'headers'>, message: string, now: Date): RegistryError => {
  const pause = pauseIn(answer, now)
  if (pause) return new RegistryBusy(`${message}: it asks to slow down`, pause.retryAfterMs)
  return answer.status >= 500 ? new RegistryUnavailable(message) : new RegistryError(message)
}

/** Bytes of an answer that are read: what registries themselves take for a manifest (distribution-spec 1.1 asks for 4 MiB). */
const LARGEST_ANSWER = 4 * 1024 * 1024

type Question = {
  url: URL
  method?: 'GET' | 'HEAD' | 'POST'
  headers?: Record<string, string>
  form?: URLSearchParams
  /** Ends the exchange, the answer's body included. */
  signal: AbortSignal
  /** Bytes of the answer that are read; those of a manifest unless said. */
  largestAnswer?: number
}
export type Answer = { status: number; headers: Headers; body: Buffer }

/**
 * One request and its whole answer, whatever its status. Redirects are answers as well: nobody is sent where he does not want
 * to go.
 * @throws RegistryUnavailable when the host does not answer, or not in time; AnswerTooLarge when it answers with more bytes.
 */
export type Exchange = (question: Question) => Promise<Answer>

/** @param userAgent by which our own reads are known again in the notifications of the registry. */
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
      return { status: response.status, headers: response.headers, body: await wholeBody(response, largestAnswer) }
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

/** Counted as it comes, unpacked: neither a length that lies nor a small archive of zeros fills the memory. */
const wholeBody = async (response: Response, largest: number): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > largest) throw new TooLarge(largest)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const failureOf = (error: unknown): string => {
  const { code } = ((error as { cause?: unknown }).cause ?? {}) as { code?: unknown }
  return typeof code === 'string' ? `cannot be reached (${code})` : 'cannot be reached'
}
