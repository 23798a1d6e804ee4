/** What went wrong with a registry, as one sentence that names it and holds no secret. */
export class RegistryError extends Error {}

/** The registry, or what it needs to answer, is away: nobody would get an answer now, whatever is asked. */
export class RegistryAway extends RegistryError {}

/** The error of an answer with this status. */
export const statusError = (status: number, message: string): RegistryError =>
  status >= 500 || status === 429 ? new RegistryAway(message) : new RegistryError(message)

/** Bytes of an answer that are read: what registries themselves take for a manifest (distribution-spec 1.1 asks for 4 MiB). */
const LARGEST_ANSWER = 4 * 1024 * 1024

type Question = {
  url: URL
  method?: 'GET' | 'HEAD' | 'POST'
  headers?: Record<string, string>
  form?: URLSearchParams
  /** Ends the exchange, the answer's body included. */
  signal: AbortSignal
}
export type Answer = { status: number; headers: Headers; body: Buffer }

/**
 * One request and its whole answer, whatever its status. Redirects are answers as well: nobody is sent where he does not want
 * to go.
 * @throws RegistryAway when the host does not answer, or not in time; RegistryError when it answers with more than 4 MiB.
 */
export type Exchange = (question: Question) => Promise<Answer>

/** @param userAgent by which our own reads are known again in the notifications of the registry. */
export const createExchange =
  (userAgent: string): Exchange =>
  async ({ url, method = 'GET', headers = {}, form, signal }) => {
    try {
      const response = await fetch(url, {
        method,
        headers: { 'user-agent': userAgent, ...headers },
        redirect: 'manual',
        signal,
        ...(form && { body: form }),
      })
      return { status: response.status, headers: response.headers, body: await wholeBody(response) }
    } catch (error) {
      if (error instanceof TooLarge) throw new RegistryError(`${url.host} ${error.message}`)
      throw new RegistryAway(`${url.host} ${failureOf(error, signal)}`)
    }
  }

class TooLarge extends Error {
  override message = `answered with more than ${LARGEST_ANSWER / 1024 / 1024} MiB`
}

/** Counted as it comes, unpacked: neither a length that lies nor a small archive of zeros fills the memory. */
const wholeBody = async (response: Response): Promise<Buffer> => {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    size += chunk.length
    if (size > LARGEST_ANSWER) throw new TooLarge()
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

const failureOf = (error: unknown, signal: AbortSignal): string => {
  if (signal.aborted) return 'did not answer in time'
  const { code } = ((error as { cause?: unknown }).cause ?? {}) as { code?: unknown }
  return typeof code === 'string' ? `cannot be reached (${code})` : 'cannot be reached'
}
