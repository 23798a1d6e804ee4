import { isFields } from '../events/json.js'
import { tokensIn } from './token-text.js'

/** The scopes of API tokens, the smallest first: each scope includes the previous ones. */
export const SCOPES = ['metrics', 'read', 'admin'] as const

/**
 * `metrics` opens `GET /metrics`; `read` also every other GET but the export of counters; `admin` everything. A token without
 * a scope has `admin`.
 */
export type Scope = (typeof SCOPES)[number]

/** A token for routes of the API. */
export type ApiToken = { token: string; scope: Scope }

/** The setting cannot be used. The message contains no token. */
export class ApiTokensError extends Error {}

export const isAdmin = ({ scope }: ApiToken): boolean => scope === 'admin'

/** Whether a scope includes a needed scope. */
export const includesScope = (scope: Scope, needed: Scope): boolean => SCOPES.indexOf(scope) >= SCOPES.indexOf(needed)

/**
 * Reads the setting `api_tokens`. It is a list of tokens, or a text with tokens separated by commas, all with the scope `admin`; or a map
 * from scopes to a token or tokens, in the environment as JSON.
 * @throws ApiTokensError
 */
export const readApiTokens = (value: unknown): ApiToken[] => {
  const given = typeof value === 'string' ? (mapIn(value) ?? value) : value
  const tokens = isFields(given)
    ? Object.entries(given).flatMap(scopedTokens)
    : tokensOrRefuse(given).map((token): ApiToken => ({ token, scope: 'admin' }))
  const scopes = new Map<string, Scope>()
  for (const { token, scope } of tokens) {
    const other = scopes.get(token) ?? scope
    if (other !== scope) throw new ApiTokensError(`${other} and ${scope} have the same token`)
    scopes.set(token, scope)
  }
  return tokens
}

/**
 * Parses a map as JSON. A token may also begin with a brace, so a text is a map only if it is JSON, or begins with a brace and a quote.
 */
const mapIn = (text: string): unknown => {
  if (!/^\s*\{/.test(text)) return undefined
  try {
    return JSON.parse(text)
  } catch {
    if (!/^\s*\{\s*"/.test(text)) return undefined
    throw new ApiTokensError(
      'begins with {" but is not JSON; expected, for example, {"metrics": "tm…", "read": ["tm…", "tm…"]}',
    )
  }
}

const scopedTokens = ([name, value]: [string, unknown]): ApiToken[] => {
  const scope = SCOPES.find((one) => one === name)
  if (scope === undefined) throw new ApiTokensError(`a name in the map is not a scope, expected ${SCOPES.join(', ')}`)
  const tokens = tokensOrRefuse(value)
  if (tokens.length === 0) throw new ApiTokensError(`${scope} has no token`)
  return tokens.map((token) => ({ token, scope }))
}

const tokensOrRefuse = (value: unknown): string[] => {
  const tokens = tokensIn(value)
  if (!tokens) {
    throw new ApiTokensError(`expected tokens, or a map of scopes (${SCOPES.join(', ')}), each to its token`)
  }
  return tokens
}
