import { isFields } from '../../events/json.js'
import { fieldsIn, headerIn, jsonRequestFormat } from './json-request-format.js'

/**
 * The access log of Caddy in JSON (Caddy's docs, "How Logging Works"). The address is the client's if Caddy trusts its proxy, and
 * else the peer's; Caddy before 2.5 logs the peer with its port.
 */
export const caddy = jsonRequestFormat({
  name: 'caddy',
  title: 'access log of Caddy',
  isRequest: ({ msg, request }) => msg === 'handled request' && isFields(request),
  valuesOf: (fields) => {
    const request = fieldsIn(fields.request)
    return {
      time: fields.ts,
      addresses: [request.client_ip, request.remote_ip, request.remote_addr],
      userAgent: headerIn(request.headers, 'User-Agent'),
      user: fields.user_id,
      request: { method: request.method, target: request.uri },
      host: request.host,
      status: fields.status,
      bytes: fields.size,
      mediaType: headerIn(fields.resp_headers, 'Content-Type'),
    }
  },
})
