import { percentDecoded } from '../../runtime/percent-decoded.js'

type Host = { host: string; port: number }
type Login = { username?: string; password?: string }

/** The address of Redis. The driver itself reads the URL of a single server. */
export type RedisAddress =
  | { kind: 'server'; url: string }
  | { kind: 'cluster'; tls: boolean; hosts: Host[]; login: Login }
  | { kind: 'sentinel'; tls: boolean; hosts: Host[]; login: Login; master: string; database: number }

const FORM = /^redis(s?)(?:-(cluster|sentinel))?:\/\/(?:([^@]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/
const FORMS =
  'expected redis://host:6379, rediss://…, redis-cluster://host:port,host:port or redis-sentinel://host:port/master'

/**
 * Reads
 * `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS;
 * `redis-cluster://[user:password@]host:port,host:port`, `rediss-cluster://…`;
 * `redis-sentinel://[user:password@]host:port,host:port/master-name[?db=1]`, with the user and the password of the master.
 * @throws TypeError with the expected form. The message does not quote the URL, which may contain a password.
 */
export const readRedisUrl = (url: string): RedisAddress => {
  const [, s, kind, login = '', hosts = '', path = '', query = ''] = FORM.exec(url) ?? []
  if (s === undefined) throw new TypeError(FORMS)
  const parts = { tls: s === 's', hosts: hosts.split(',').map(readHost), login: readLogin(login) }
  if (kind === 'cluster') return { kind, ...parts }
  if (kind === undefined) {
    if (parts.hosts.length > 1 || !URL.canParse(url)) throw new TypeError(FORMS)
    readDatabase(path)
    return { kind: 'server', url }
  }
  if (path === '') {
    throw new TypeError('after the sentinels comes the name of the master: redis-sentinel://host:port/NAME')
  }
  const database = readDatabase(new URLSearchParams(query).get('db') ?? '')
  return { kind: 'sentinel', ...parts, master: decoded(path), database }
}

const readHost = (text: string): Host => {
  const address = `redis://${text}`
  if (!URL.canParse(address))
    throw new TypeError('a host is not valid, expected host:port, for example redis.example.com:6379')
  const { hostname, port } = new URL(address)
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) }
}

const readLogin = (text: string): Login => {
  const [username, password] = text.split(':').map(decoded)
  return { ...(username && { username }), ...(password && { password }) }
}

const readDatabase = (text: string): number => {
  if (!/^\d*$/.test(text))
    throw new TypeError('its database is not a number; expected, for example, redis://host:6379/1')
  return Number(text)
}

const decoded = (encoded: string): string => {
  const text = percentDecoded(encoded)
  if (text === undefined) throw new TypeError('it is not percent-encoded: in a URL a % is written %25')
  return text
}
