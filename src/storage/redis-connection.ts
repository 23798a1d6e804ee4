import { Cluster, Redis, type RedisOptions } from 'ioredis'

/** A registry waits for us: better an error soon than an answer late. ioredis's own defaults wait for over a minute. */
const COMMAND_TIMEOUT_MS = 2_000
const CONNECT_TIMEOUT_MS = 1_500

const options = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
  maxRetriesPerRequest: 1,
  retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 5), 1_000),
  connectionName: 'tallyman',
} satisfies RedisOptions

/**
 * Connects as a URL says:
 * `redis://[user:password@]host[:port][/database]`, `rediss://…` for TLS;
 * `redis-cluster://[user:password@]host:port,host:port`, `rediss-cluster://…`;
 * `redis-sentinel://[user:password@]host:port,host:port/master-name[?db=1]`, where user and password are those of the master.
 * @throws TypeError when the URL has none of these forms.
 */
export const connectRedis = (url: string): Redis | Cluster => {
  const client = clientFor(url)
  // Without a listener every failed reconnect is printed. What matters reaches the caller of a command.
  client.on('error', () => undefined)
  return client
}

const clientFor = (url: string): Redis | Cluster => {
  const [, scheme, s, kind, rest] = /^(redis(s?)(?:-(cluster|sentinel))?):\/\/(.+)$/.exec(url) ?? []
  if (scheme === undefined || rest === undefined)
    throw new TypeError('it has none of the forms that docs/operations.md lists')
  if (kind === undefined) return new Redis(url, options)

  const { hosts, path, query, ...login } = partsOf(rest)
  const tls = s === 's' ? { tls: {} } : {}
  if (kind === 'cluster') {
    return new Cluster(hosts, {
      redisOptions: { ...options, ...login, ...tls },
      clusterRetryStrategy: (attempt) => Math.min(100 * attempt, 1_000),
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
    })
  }
  if (path === '')
    throw new TypeError('after the sentinels comes the name of the master: redis-sentinel://host:port/NAME')
  const db = Number(query.get('db') ?? 0)
  return new Redis({
    ...options,
    ...login,
    ...tls,
    ...(s === 's' && { sentinelTLS: {}, enableTLSForSentinelMode: true }),
    sentinels: hosts,
    name: path,
    db,
  })
}

type Parts = {
  hosts: { host: string; port: number }[]
  path: string
  query: URLSearchParams
  username?: string
  password?: string
}

const partsOf = (rest: string): Parts => {
  const [, login, hosts = '', path = '', query = ''] =
    /^(?:([^@]*)@)?([^/?]+)(?:\/([^?]*))?(?:\?(.*))?$/.exec(rest) ?? []
  const [username, password] = (login ?? '').split(':').map(decodeURIComponent)
  return {
    hosts: hosts.split(',').map((host) => {
      const { hostname, port } = new URL(`redis://${host}`)
      return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || 6379) }
    }),
    path: decodeURIComponent(path),
    query: new URLSearchParams(query),
    ...(username && { username }),
    ...(password && { password }),
  }
}
