import { LRUCache } from 'lru-cache'
import { fieldsIn } from './bounded-json.js'
import { isOver, waitOf, type Wait } from '../../runtime/wait.js'
import type { Challenge } from './challenges.js'
import type { Credentials } from './credentials.js'
import { RegistryError, statusError, type Exchange } from './exchange.js'
import { tokenRealm, type TokenRealmOf } from './token-realm.js'

/** The size limit of a token server's answer in bytes: it contains a token at most twice. */
const LARGEST_ANSWER = 256 * 1024
const LONGEST_SERVICE = 1_000
/** The default lifetime of a token (distribution's docs, "Token Authentication Specification"). */
const DEFAULT_SECONDS = 60
const MOST_SECONDS = 86_400
/** A token is used for this part of its lifetime, so that it does not expire during a request. */
const USED_OF_ITS_LIFE = 0.9
const MOST_TOKENS = 1_000
const TOKEN = /^[\x21-\x7e]{1,12000}$/

/** The area of the catalog. The area of a repository is its name. */
export const CATALOG = ''

export type RegistryAuth = {
  /** The Authorization header that the registry last accepted for this area (a repository, or the catalog). */
  known: (area: string) => Promise<string | undefined>
  /**
   * The Authorization header for a retry after a 401; undefined if there is no other header than the refused one.
   * @throws RegistryError if the token server returns no token
   */
  answer: (
    area: string,
    refusal: { challenges: readonly Challenge[]; refused: string | undefined; signal: AbortSignal },
  ) => Promise<string | undefined>
}

type RegistryAuthDeps = {
  registry: TokenRealmOf
  credentials: () => Promise<Credentials | undefined>
  /** Sends requests to the token server, without the key of our own reads. */
  exchange: Exchange
  now: () => Date
}
/** The parameters of a token request. */
type TokenRequest = { realm: URL; service: string; scope: string }
type Token = { value: string; wait: Wait }

/** Basic authentication and the token flow (distribution's docs, "Token Authentication Specification" and "OAuth2"). */
export const createRegistryAuth = ({ registry, credentials, exchange, now }: RegistryAuthDeps): RegistryAuth => {
  const lastRequests = new LRUCache<string, TokenRequest>({ max: MOST_TOKENS })
  const tokens = new LRUCache<string, Token>({ max: MOST_TOKENS })
  const pendingRequests = new Map<string, Promise<Token>>()
  let takesBasic = false

  const basic = async (): Promise<string | undefined> => {
    const known = await credentials()
    return known && 'username' in known ? basicHeader(known.username, known.password) : undefined
  }

  const keptToken = (wanted: TokenRequest): string | undefined => {
    const token = tokens.get(keyOf(wanted))
    return token && !isOver(token.wait, now()) ? `Bearer ${token.value}` : undefined
  }

  const newToken = async (wanted: TokenRequest, signal: AbortSignal): Promise<string> => {
    const key = keyOf(wanted)
    const pending = pendingRequests.get(key) ?? requestToken(wanted, signal).finally(() => pendingRequests.delete(key))
    pendingRequests.set(key, pending)
    const token = await pending
    tokens.set(key, token)
    return `Bearer ${token.value}`
  }

  const requestToken = async (wanted: TokenRequest, signal: AbortSignal): Promise<Token> => {
    const { realm } = wanted
    const requestedAt = now()
    const request = tokenHttpRequest(wanted, await credentials())
    const answer = await exchange({ ...request, signal, largestAnswer: LARGEST_ANSWER })
    const { status } = answer
    if (status !== 200)
      throw statusError(answer, `${realm.host} answered ${status} when asked for a token${remedy(status)}`, now())
    const { value, seconds } = tokenIn(answer.body, realm)
    return { value, wait: waitOf(seconds * 1000 * USED_OF_ITS_LIFE, requestedAt) }
  }

  const requestFor = (area: string, { realm = '', service = '' }: Challenge['parameters']): TokenRequest => ({
    realm: tokenRealm(realm, registry),
    service: service.slice(0, LONGEST_SERVICE),
    scope: scopeOf(area, registry.url),
  })

  return {
    known: async (area) => {
      if (takesBasic) return basic()
      const wanted = lastRequests.get(area)
      return wanted && keptToken(wanted)
    },
    answer: async (area, { challenges, refused, signal }) => {
      const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm)
      if (bearer) {
        const wanted = requestFor(area, bearer.parameters)
        lastRequests.set(area, wanted)
        const kept = keptToken(wanted)
        return kept !== undefined && kept !== refused ? kept : newToken(wanted, signal)
      }
      if (!challenges.some(({ scheme }) => scheme === 'basic')) return undefined
      const header = await basic()
      if (header === refused) return undefined
      takesBasic = true
      return header
    },
  }
}

const keyOf = ({ realm, service, scope }: TokenRequest): string => JSON.stringify([realm.href, service, scope])

/**
 * The scope of a token (distribution's docs, "Token Scope Documentation"): to read a repository, or the catalog. The scope of the
 * challenge is not used, because a dishonest registry could get a token that may push.
 */
const scopeOf = (area: string, registry: URL): string => {
  if (area === CATALOG) return 'registry:catalog:*'
  return `repository:${area}:${AZURE.test(registry.hostname) ? 'pull,metadata_read' : 'pull'}`
}

/** Azure Container Registry has a special action for lists of tags. */
const AZURE = /\.azurecr\.(io|cn|us)$/

const basicHeader = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

/** With a refresh token a POST (OAuth2), else a GET. Without credentials the GET has none, which suffices for public images. */
const tokenHttpRequest = (
  { realm, service, scope }: TokenRequest,
  credentials: Credentials | undefined,
): Omit<Parameters<Exchange>[0], 'signal'> => {
  const url = new URL(realm)
  // The registry chooses the address, and a scope in it would be granted, too.
  for (const name of ['service', 'scope']) url.searchParams.delete(name)
  if (credentials && 'identityToken' in credentials) {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'tallyman', service, scope })
    form.set('refresh_token', credentials.identityToken)
    return { url, method: 'POST', form }
  }
  if (service !== '') url.searchParams.append('service', service)
  url.searchParams.append('scope', scope)
  return { url, headers: credentials ? { authorization: basicHeader(credentials.username, credentials.password) } : {} }
}

const tokenIn = (body: Buffer, realm: URL): { value: string; seconds: number } => {
  const { token, access_token, expires_in }: Record<string, unknown> = fieldsIn(body) ?? {}
  const value = [token, access_token].find((one): one is string => typeof one === 'string' && TOKEN.test(one))
  if (value === undefined) throw new RegistryError(`${realm.host} was asked for a token and answered without one`)
  const seconds = typeof expires_in === 'number' && expires_in > 0 ? expires_in : DEFAULT_SECONDS
  return { value, seconds: Math.min(seconds, MOST_SECONDS) }
}

/** The advice for a refusal. */
export const remedy = (status: number): string =>
  status === 401 || status === 403 ? ': give the registry credentials in the configuration that may pull' : ''
