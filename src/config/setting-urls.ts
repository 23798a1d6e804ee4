import { percentDecoded } from '../runtime/percent-decoded.js'
import { readRedisUrl } from '../storage/sketches/redis-url.js'

/**
 * The error in the URL of a setting; undefined if the URL can be used. The message quotes no part of the URL, which may contain a
 * password.
 */
export type UrlProblem = string | undefined

const ENCODING =
  'in a user or a password, write special characters percent-encoded: # as %23, / as %2F, ? as %3F, @ as %40, % as %25'

const POSTGRES = 'expected postgres://user:password@host:5432/database'
const WEB = 'expected an address like https://host/path'
const NOT_ENCODED = `it is not percent-encoded: ${ENCODING}`

export const databaseUrlProblem = (text: string): UrlProblem => {
  if (!/^postgres(ql)?:\/\/.+/.test(text)) return POSTGRES
  const url = parsePostgres(text)
  if (!url || isCutShort(url)) return `${POSTGRES}; a port is at most 65535; ${ENCODING}`
  if (![url.username, url.password, url.hostname, url.pathname].every(isDecodable)) return NOT_ENCODED
  const port = url.searchParams.get('port') ?? ''
  return /^\d{0,5}$/.test(port) && Number(port) <= 65_535 ? undefined : 'its port is not a number up to 65535'
}

/** Parses a URL as pg does: a space, or a % without two hex digits after it, is taken literally, and the host may be missing. */
const parsePostgres = (text: string): URL | undefined => {
  const isLoose = / |%[^a-f0-9]|%[a-f0-9][^a-f0-9]/i.test(text)
  if (isLoose && !text.isWellFormed()) return undefined
  const strict = isLoose ? encodeURI(text).replace(/%25(\d\d)/g, '%$1') : text
  for (const candidate of [strict, strict.replace('@/', '@localhost/')])
    if (URL.canParse(candidate, 'postgres://base')) return new URL(candidate, 'postgres://base')
  return undefined
}

/**
 * Whether a special character in the password ended the host too early: `postgres://user:12#3@host/database` has the host `user`.
 */
const isCutShort = ({ hash, pathname, searchParams }: URL): boolean =>
  hash !== '' || pathname.includes('@') || [...searchParams.keys()].some((key) => /[@/]/.test(key))

const isDecodable = (text: string): boolean => percentDecoded(text) !== undefined

export const redisUrlProblem = (text: string): UrlProblem => {
  try {
    const { kind } = readRedisUrl(text)
    // ioredis parses the URL of a single server itself. There, an unencoded #, / or ? in the password ends the host.
    const login = kind === 'server' ? /^rediss?:\/\/(.*)@/s.exec(text)?.[1] : undefined
    return login !== undefined && /[#/?]/.test(login) ? ENCODING : undefined
  } catch (error) {
    const { message } = error as TypeError
    return /^rediss?(-\w+)?:\/\/.*@/s.test(text) ? `${message}; ${ENCODING}` : message
  }
}

/** @param mayHaveLogin whether the URL may contain a user and a password */
export const webUrlProblem = (text: string, mayHaveLogin: boolean): UrlProblem => {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:$/.test(url.protocol)) return /^https?:\/\/.*@/s.test(text) ? `${WEB}; ${ENCODING}` : WEB
  if (isCutShort(url)) return `${WEB}, without #; ${ENCODING}`
  if (mayHaveLogin) return [url.username, url.password].every(isDecodable) ? undefined : NOT_ENCODED
  return url.username + url.password + url.search === '' ? undefined : `${WEB}, without user, password and ?`
}
