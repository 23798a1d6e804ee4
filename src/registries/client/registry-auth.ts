import { LRUCache } from 'lru-cache'
import { fieldsIn } from './bounded-json.js'
import type { Challenge } from './challenges.js'
import type { Credentials } from './credentials.js'
import { RegistryError, statusError, type Exchange } from './exchange.js'
import { tokenRealm, type TokenRealmOf } from './token-realm.js'

/** Bytes of the answer of a token server: a token stands in it twice at most. */
const LARGEST_ANSWER = 256 * 1024
const LONGEST_SERVICE = 1_000
/** What tokens live when the server does not say (distribution's docs, "Token Authentication Specification"). */
const DEFAULT_SECONDS = 60
const MOST_SECONDS = 86_400
/** A token that is about to expire is not used: it would expire on its way. */
const USED_OF_ITS_LIFE = 0.9
const MOST_TOKENS = 1_000
const TOKEN = /^[\x21-\x7e]{1,12000}$/

/** The area of the catalog; that of a repository is its name. */
export const CATALOG = ''

export type RegistryAuth = {
  /** The Authorization header that was right for this area (a repository, or the catalog) the last time. */
  known: (area: string) => Promise<string | undefined>
  /**
   * The Authorization header to ask again with after a 401; undefined when there is nothing better than what was refused.
   * @throws RegistryError when a token cannot be had.
   */
  answer: (
    area: string,
    refusal: { challenges: readonly Challenge[]; refused: string | undefined; signal: AbortSignal },
  ) => Promise<string | undefined>
}

type RegistryAuthDeps = {
  registry: TokenRealmOf
  credentials: () => Promise<Credentials | undefined>
  /** Asks the token server, which learns nothing about the registry's own requests. */
  exchange: Exchange
  now: () => Date
}
/** What a token is asked for with. */
type TokenRequest = { realm: URL; service: string; scope: string }
type Token = { value: string; until: number }

/** Basic authentication and the token flow (distribution's docs, "Token Authentication Specification" and "OAuth2"). */
export const createRegistryAuth = ({ registry, credentials, exchange, now }: RegistryAuthDeps): RegistryAuth => {
  const answered = new LRUCache<string, TokenRequest>({ max: MOST_TOKENS })
  const tokens = new LRUCache<string, Token>({ max: MOST_TOKENS })
  const underWay = new Map<string, Promise<Token>>()
  let takesBasic = false

  const basic = async (): Promise<string | undefined> => {
    const known = await credentials()
    return known && 'username' in known ? basicHeader(known.username, known.password) : undefined
  }

  const keptToken = (wanted: TokenRequest): string | undefined => {
    const token = tokens.get(keyOf(wanted))
    return token && now().getTime() < token.until ? `Bearer ${token.value}` : undefined
  }

  const newToken = async (wanted: TokenRequest, signal: AbortSignal): Promise<string> => {
    const key = keyOf(wanted)
    const asking = underWay.get(key) ?? requestToken(wanted, signal).finally(() => underWay.delete(key))
    underWay.set(key, asking)
    const token = await asking
    tokens.set(key, token)
    return `Bearer ${token.value}`
  }

  const requestToken = async (wanted: TokenRequest, signal: AbortSignal): Promise<Token> => {
    const { realm } = wanted
    const asked = now().getTime()
    const question = tokenQuestion(wanted, await credentials())
    const answer = await exchange({ ...question, signal, largestAnswer: LARGEST_ANSWER })
    const { status } = answer
    if (status !== 200)
      throw statusError(answer, `${realm.host} answered ${status} when asked for a token${remedy(status)}`, now())
    const { value, seconds } = tokenIn(answer.body, realm)
    return { value, until: asked + seconds * 1000 * USED_OF_ITS_LIFE }
  }

  const requestFor = (area: string, { realm = '', service = '' }: Challenge['parameters']): TokenRequest => ({
    realm: tokenRealm(realm, registry),
    service: service.slice(0, LONGEST_SERVICE),
    scope: scopeOf(area, registry.url),
  })

  return {
    known: async (area) => {
      if (takesBasic) return basic()
      const wanted = answered.get(area)
      return wanted && keptToken(wanted)
    },
    answer: async (area, { challenges, refused, signal }) => {
      const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm)
      if (bearer) {
        const wanted = requestFor(area, bearer.parameters)
        answered.set(area, wanted)
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
 * What a token is for (distribution's docs, "Token Scope Documentation"): to read a repository, or the catalog. The scope of the
 * challenge is not used: a registry that is not honest would get a token that may push.
 */
const scopeOf = (area: string, registry: URL): string => {
  if (area === CATALOG) return 'registry:catalog:*'
  return `repository:${area}:${AZURE.test(registry.hostname) ? 'pull,metadata_read' : 'pull'}`
}

/** Azure Container Registry has an action of its own for lists of tags. */
const AZURE = /\.azurecr\.(io|cn|us)$/

const basicHeader = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

/** With a refresh token a POST (OAuth2), else a GET, without credentials if there are none: public images need them not. */
const tokenQuestion = (
  { realm, service, scope }: TokenRequest,
  credentials: Credentials | undefined,
): Omit<Parameters<Exchange>[0], 'signal'> => {
  const url = new URL(realm)
  // The registry writes the address, and a scope in it would count as well.
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

/** What to do about a refusal. */
export const remedy = (status: number): string =>
  status === 401 || status === 403 ? ': give the registry credentials in the configuration that may pull' : ''
