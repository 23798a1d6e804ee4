import { createHash, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import type { NotificationToken } from '../tokens/notification-tokens.js'
import type { ApiToken, Scope } from '../tokens/api-tokens.js'
import { tokenIn } from '../sources/authorization-header.js'
import type { FindToken } from '../sources/sender.js'

type Refused = 'missing' | 'wrong'

/**
 * Checks whether a request carries a valid API token.
 * @returns the number of the token in the configuration and its scope, or the reason of the refusal
 */
export type Authorize = (headers: IncomingHttpHeaders) => Refused | { token: number; scope: Scope }

const USUAL_BYTES = 256

/**
 * A buffer of the same length for every token, so that the time of a comparison reveals nothing, not even the length of a token.
 */
const comparable = (token: string): Buffer => {
  const bytes = Buffer.alloc(USUAL_BYTES + 4)
  const length = Buffer.byteLength(token)
  bytes.writeUInt32LE(length)
  // Hashing every token would also work, but takes three times as long as everything else here.
  if (length <= USUAL_BYTES) bytes.write(token, 4)
  else createHash('sha512').update(token).digest().copy(bytes, 4)
  return bytes
}

/** Creates the check of API tokens. Every token is compared in constant time, so the duration reveals nothing. */
export const createAuthorize = (tokens: readonly ApiToken[]): Authorize => {
  const find = createFind(tokens.map(({ token, scope }, i) => ({ token, found: { token: i, scope } })))
  return (headers) => find(tokenIn(headers))
}

/** Like createAuthorize, for notification tokens. Each token may name a registry. */
export const createFindToken = (tokens: readonly NotificationToken[]): FindToken =>
  createFind(
    tokens.map(({ token, registry }, i) => ({
      token,
      found: { token: i, ...(registry !== undefined && { registry }) },
    })),
  )

/** Creates a function that finds the data of a token. */
const createFind = <Found>(
  tokens: readonly { token: string; found: Found }[],
): ((given: string | undefined) => Refused | Found) => {
  const accepted = tokens.map(({ token }) => comparable(token))
  return (given) => {
    if (given === undefined) return 'missing'
    const compared = comparable(given)
    // Counted from 1, and computed without a branch that depends on the comparison.
    const at = accepted.reduce(
      (last, token, i) => Math.max(last, Number(timingSafeEqual(token, compared)) * (i + 1)),
      0,
    )
    return tokens[at - 1]?.found ?? 'wrong'
  }
}
