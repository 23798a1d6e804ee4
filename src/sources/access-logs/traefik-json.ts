import { jsonRequestFormat } from './json-request-format.js'
import { isGiven } from './logged-values.js'

/**
 * The access log of Traefik in JSON (Traefik's docs, "Access Logs"). Traefik drops headers unless its configuration keeps them, so
 * most logs have no user agent. `RequestAddr` is the Host header, and `RequestHost` the same without its port.
 */
export const traefikJson = jsonRequestFormat({
  name: 'traefik-json',
  title: 'access log of Traefik in JSON',
  isRequest: (fields) => Object.hasOwn(fields, 'RequestMethod') || Object.hasOwn(fields, 'DownstreamStatus'),
  valuesOf: (fields) => ({
    time: fields.StartUTC ?? fields.StartLocal ?? fields.time,
    addresses: [fields.ClientHost, fields.ClientAddr],
    userAgent: fields['request_User-Agent'],
    user: fields.ClientUsername,
    request: { method: fields.RequestMethod, target: fields.RequestPath },
    host: isGiven(fields.RequestAddr) ? fields.RequestAddr : fields.RequestHost,
    status: fields.DownstreamStatus,
    bytes: fields.DownstreamContentSize,
    mediaType: fields['downstream_Content-Type'],
  }),
})
