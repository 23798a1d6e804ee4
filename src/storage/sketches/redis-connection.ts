import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { readRedisUrl } from './redis-url.js'

/** A registry waits for us: better an error soon than an answer late. ioredis's own defaults wait for over a minute. */
const COMMAND_TIMEOUT_MS = 2_000
const CONNECT_TIMEOUT_MS = 1_500
/** A connection that answers nothing for this long is made anew: nobody closes one that a firewall forgot or whose host died. */
const SILENCE_MS = 3_000

const options = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
  sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
  socketTimeout: SILENCE_MS,
  maxRetriesPerRequest: 1,
  retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 5), 1_000),
  connectionName: 'tallyman',
} satisfies RedisOptions

/**
 * Connects to where a URL says, in one of the forms that `readRedisUrl` knows.
 * @throws TypeError when it has none of them.
 */
export const connectRedis = (url: string): Redis | Cluster => {
  const client = clientFor(url)
  // Without a listener every failed reconnect is printed. What matters reaches the caller of a command.
  client.on('error', () => undefined)
  return client
}

const clientFor = (url: string): Redis | Cluster => {
  const place = readRedisUrl(url)
  if (place.kind === 'server') return new Redis(place.url, options)

  const { hosts, login } = place
  const tls = place.tls ? { tls: {} } : {}
  if (place.kind === 'cluster') {
    return new Cluster(hosts, {
      redisOptions: { ...options, ...login, ...tls },
      clusterRetryStrategy: (attempt) => Math.min(100 * attempt, 1_000),
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
    })
  }
  return new Redis({
    ...options,
    ...login,
    ...tls,
    ...(place.tls && { sentinelTLS: {}, enableTLSForSentinelMode: true }),
    sentinels: hosts,
    name: place.master,
    db: place.database,
  })
}
