import { isGiven } from './logged-values.js'

/** The request line of an HTTP request. */
export type RequestLine = {
  method: string
  /** Path and query, without scheme and host; or `*`, or the host and port of a CONNECT (RFC 9112, section 3.2). */
  target: string
  /** The host and port of an absolute URL. */
  host?: string
}

/** Why there is no request line. `none`: the server received no request line. */
export type RequestFault = 'none' | 'form' | 'method-missing' | 'method' | 'target-missing' | 'target'

const METHOD = /^[A-Z]{1,32}$/
const PROTOCOL = /^HTTP\/\d/
const SCHEME_AND_HOST = /^[a-zA-Z][a-zA-Z0-9+.-]{0,20}:\/\/([^/?#]*)/

/** Reads a request line, for example `GET /v2/team/app/manifests/1.4 HTTP/1.1`. */
export const readRequestLine = (text: string): RequestLine | RequestFault => {
  // Envoy and AWS write `-` in place of the method.
  if (text === '' || text === '-' || text.startsWith('- ')) return 'none'
  const parts = splitRequestLine(text)
  return parts ? toRequestLine(parts.method, parts.target) : 'form'
}

/**
 * Splits a request line into a method and a target. A target may contain spaces, because servers log it as the client sent it.
 * @returns undefined for any other text
 */
export const splitRequestLine = (text: string): { method: string; target: string } | undefined => {
  const first = text.indexOf(' ')
  const last = text.lastIndexOf(' ')
  const method = text.slice(0, first)
  const hasProtocol = last > first && PROTOCOL.test(text.slice(last + 1))
  const target = text.slice(first + 1, hasProtocol ? last : undefined)
  // HTTP/0.9 has no protocol after the target.
  if (first < 0 || !METHOD.test(method) || target === '' || (!hasProtocol && last > first)) return undefined
  return { method, target }
}

/** Checks the method and the target of a request. */
export const toRequestLine = (method: unknown, target: unknown): RequestLine | RequestFault => {
  if (typeof method !== 'string' || !METHOD.test(method)) return isGiven(method) ? 'method' : 'method-missing'
  if (typeof target !== 'string') return isGiven(target) ? 'target' : 'target-missing'
  if (method === 'CONNECT') return target === '' ? 'target-missing' : { method, target }
  const url = splitUrl(target)
  if (url === undefined) return isGiven(target) ? 'target' : 'target-missing'
  return { method, ...url }
}

/**
 * Path and query of a URL, and its host and port if it is absolute. HTTP/2 and forward proxies have absolute URLs.
 * @returns undefined if the text is neither a path, nor `*`, nor an absolute URL
 */
export const splitUrl = (url: string): { target: string; host?: string } | undefined => {
  if (url.startsWith('/') || url === '*') return { target: url }
  const [beginning, authority = ''] = SCHEME_AND_HOST.exec(url) ?? []
  if (beginning === undefined) return undefined
  const rest = url.slice(beginning.length)
  const target = rest.startsWith('/') ? rest : `/${rest}`
  // A URL may contain the name and the password of a user before the host.
  const host = authority.slice(authority.lastIndexOf('@') + 1)
  return host === '' ? { target } : { target, host }
}
