import type { NamedField } from './log-format.js'

/**
 * The names that sites give to the fields of JSON access logs, the preferred one first: nginx's variables without `$`, the names
 * of Istio and Envoy Gateway, and frequent names of configurations. Names that mean different things at different sites are not
 * in the list. No name is that of an id: most are of a header that a client may choose, and that all proxies on the way
 * log. An address that a client or a proxy sent comes before the address of the peer, which may be a load balancer.
 */
export const ALIASES: Readonly<Record<NamedField, readonly string[]>> = {
  time: [
    'time',
    '@timestamp',
    'timestamp',
    'time_iso8601',
    'start_time',
    'time_local',
    'msec',
    'ts',
    'datetime',
    'date',
    'time_unix',
  ],
  address: [
    'client_ip',
    'clientip',
    'clientIp',
    'client_addr',
    'real_ip',
    'realip',
    'x_forwarded_for',
    'http_x_forwarded_for',
    'x-forwarded-for',
    'xff',
    'remote_addr',
    'remote_ip',
    'remote_address',
    'remote',
    'client',
    'ip',
    'downstream_remote_address',
  ],
  userAgent: ['http_user_agent', 'user_agent', 'userAgent', 'useragent', 'user-agent', 'agent', 'ua'],
  user: ['remote_user', 'auth_user', 'username', 'user'],
  method: ['request_method', 'method', 'http_method', 'verb', ':method'],
  target: [
    'request_uri',
    'x-envoy-original-path',
    'x-envoy-origin-path',
    'uri',
    'path',
    ':path',
    'url',
    'request_path',
    'target',
  ],
  host: ['http_host', 'host', 'authority', ':authority', 'request_host', 'vhost', 'domain'],
  status: ['status', 'status_code', 'statusCode', 'response_code', 'response_status', 'http_status', 'code'],
  bytes: ['body_bytes_sent', 'bytes_sent', 'bytes', 'body_bytes', 'response_size', 'size'],
  requestId: [],
}
