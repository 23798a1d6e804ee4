import { LRUCache } from 'lru-cache'
import { isFields } from '../../events/excerpt.js'
import type { Challenge } from './challenges.js'
import type { Credentials } from './credentials.js'
import { RegistryError, statusError, type Exchange } from './exchange.js'

/** What tokens live when the server does not say (distribution's docs, "Token Authentication Specification"). */
const DEFAULT_SECONDS = 60
const MOST_SECONDS = 86_400
/** A token that is about to expire is not used: it would expire on its way. */
const USED_OF_ITS_LIFE = 0.9
const MOST_TOKENS = 1_000
const TOKEN = /^[\x21-\x7e]{1,12000}$/

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

type Needs = {
  /** Where the registry is asked. */
  registry: URL
  credentials: () => Promise<Credentials | undefined>
  exchange: Exchange
  now: () => Date
}
type Token = { value: string; until: number }

/** Basic authentication and the token flow (distribution's docs, "Token Authentication Specification" and "OAuth2"). */
export const createRegistryAuth = ({ registry, credentials, exchange, now }: Needs): RegistryAuth => {
  const answered = new LRUCache<string, Challenge>({ max: MOST_TOKENS })
  const tokens = new LRUCache<string, Token>({ max: MOST_TOKENS })
  const underWay = new Map<string, Promise<Token>>()
  let takesBasic = false

  const basic = async (): Promise<string | undefined> => {
    const known = await credentials()
    return known && 'username' in known ? basicHeader(known.username, known.password) : undefined
  }

  const keptToken = (challenge: Challenge): string | undefined => {
    const token = tokens.get(keyOf(challenge))
    return token && now().getTime() < token.until ? `Bearer ${token.value}` : undefined
  }

  const newToken = async (challenge: Challenge, signal: AbortSignal): Promise<string> => {
    const key = keyOf(challenge)
    const asking = underWay.get(key) ?? requestToken(challenge, signal).finally(() => underWay.delete(key))
    underWay.set(key, asking)
    const token = await asking
    tokens.set(key, token)
    return `Bearer ${token.value}`
  }

  const requestToken = async ({ parameters }: Challenge, signal: AbortSignal): Promise<Token> => {
    const realm = realmOf(parameters.realm ?? '', registry)
    const asked = now().getTime()
    const question = tokenQuestion(realm, parameters, await credentials())
    const answer = await exchange({ ...question, signal })
    const { status } = answer
    if (status !== 200)
      throw statusError(answer, `${realm.host} answered ${status} when asked for a token${remedy(status)}`, now())
    const { value, seconds } = tokenIn(answer.body, realm)
    return { value, until: asked + seconds * 1000 * USED_OF_ITS_LIFE }
  }

  return {
    known: async (area) => {
      if (takesBasic) return basic()
      const challenge = answered.get(area)
      return challenge && keptToken(challenge)
    },
    answer: async (area, { challenges, refused, signal }) => {
      const bearer = challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters.realm)
      if (bearer) {
        answered.set(area, bearer)
        const kept = keptToken(bearer)
        return kept !== undefined && kept !== refused ? kept : newToken(bearer, signal)
      }
      if (!challenges.some(({ scheme }) => scheme === 'basic')) return undefined
      const header = await basic()
      if (header === refused) return undefined
      takesBasic = true
      return header
    },
  }
}

const keyOf = ({ parameters: { realm, service, scope } }: Challenge): string => JSON.stringify([realm, service, scope])

const basicHeader = (username: string, password: string): string =>
  `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`

/**
 * Where a registry sends for a token. The address comes from an answer, and credentials go there: so only over TLS, to
 * whatever host (as Docker Hub's auth.docker.io), or to a registry without TLS on its own host. On loopback it is enough that
 * both are there.
 * @throws RegistryError for any other address.
 */
const realmOf = (text: string, registry: URL): URL => {
  const realm = URL.canParse(text) ? new URL(text) : undefined
  const refuse = (reason: string): never => {
    throw new RegistryError(`${registry.host} sends for a token to an address that ${reason}`)
  }
  if (!realm || !['http:', 'https:'].includes(realm.protocol)) return refuse('is no http or https address')
  if (realm.username !== '' || realm.password !== '') return refuse('holds credentials')
  if (realm.protocol === 'https:') return realm
  const isNear = realm.hostname === registry.hostname || (isLoopback(realm) && isLoopback(registry))
  if (registry.protocol !== 'http:' || !isNear) return refuse('is not https')
  return realm
}

const isLoopback = ({ hostname }: URL): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)

/** With a refresh token a POST (OAuth2), else a GET, without credentials if there are none: public images need them not. */
const tokenQuestion = (
  realm: URL,
  { service = '', scope = '' }: Challenge['parameters'],
  credentials: Credentials | undefined,
): Omit<Parameters<Exchange>[0], 'signal'> => {
  if (credentials && 'identityToken' in credentials) {
    const form = new URLSearchParams({ grant_type: 'refresh_token', client_id: 'tallyman', service, scope })
    form.set('refresh_token', credentials.identityToken)
    return { url: realm, method: 'POST', form }
  }
  const url = new URL(realm)
  if (service !== '') url.searchParams.append('service', service)
  for (const one of scope.split(' ')) if (one !== '') url.searchParams.append('scope', one)
  return { url, headers: credentials ? { authorization: basicHeader(credentials.username, credentials.password) } : {} }
}

const tokenIn = (body: Buffer, realm: URL): { value: string; seconds: number } => {
  let fields: unknown
  try {
    fields = JSON.parse(body.toString('utf8'))
  } catch {
    fields = undefined
  }
  const { token, access_token, expires_in }: Record<string, unknown> = isFields(fields) ? fields : {}
  const value = [token, access_token].find((one): one is string => typeof one === 'string' && TOKEN.test(one))
  if (value === undefined) throw new RegistryError(`${realm.host} was asked for a token and answered without one`)
  const seconds = typeof expires_in === 'number' && expires_in > 0 ? expires_in : DEFAULT_SECONDS
  return { value, seconds: Math.min(seconds, MOST_SECONDS) }
}

/** What to do about a refusal. */
export const remedy = (status: number): string =>
  status === 401 || status === 403 ? ': give the registry credentials in the configuration that may pull' : ''
