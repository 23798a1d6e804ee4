import { Cluster, Redis, type RedisOptions } from 'ioredis'
import { readRedisUrl } from './redis-url.js'

/** A registry waits for Tallyman's answer: a quick error is better than a late answer. ioredis's defaults exceed a minute. */
const COMMAND_TIMEOUT_MS = 2_000
const CONNECT_TIMEOUT_MS = 1_500
/** A connection without an answer for this long is replaced: one that a firewall dropped, or whose host died, is never closed. */
const SILENCE_MS = 3_000

/** How a replica refuses: each write, and, if its master is unavailable, also reads. */
const REFUSAL_OF_REPLICA = /^(?:READONLY|MASTERDOWN)\b/

const options = {
  connectTimeout: CONNECT_TIMEOUT_MS,
  commandTimeout: COMMAND_TIMEOUT_MS,
  sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
  socketTimeout: SILENCE_MS,
  maxRetriesPerRequest: 1,
  retryStrategy: (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 5), 1_000),
  connectionName: 'tallyman',
  // A master that becomes a replica may keep its connections open. The same address or Sentinel leads to the new master.
  reconnectOnError: ({ message }: Error) => REFUSAL_OF_REPLICA.test(message),
} satisfies RedisOptions

/**
 * Connects to the Redis of a URL, in one of the forms that `readRedisUrl` reads.
 * @throws TypeError if the URL has another form
 */
export const connectRedis = (url: string): Redis | Cluster => {
  const client = clientFor(url)
  // Without a listener, ioredis prints every failed reconnect. The caller of a command gets its error in any case.
  client.on('error', () => undefined)
  return client
}

const clientFor = (url: string): Redis | Cluster => {
  const address = readRedisUrl(url)
  if (address.kind === 'server') return new Redis(address.url, options)

  const { hosts, login } = address
  const tls = address.tls ? { tls: {} } : {}
  if (address.kind === 'cluster') {
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
    ...(address.tls && { sentinelTLS: {}, enableTLSForSentinelMode: true }),
    sentinels: hosts,
    name: address.master,
    db: address.database,
  })
}
