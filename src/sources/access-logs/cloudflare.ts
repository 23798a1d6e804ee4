import { jsonRequestFormat } from './json-request-format.js'

/**
 * HTTP requests of Cloudflare Logpush as JSON lines (Cloudflare's docs, "HTTP requests"). The job's settings decide whether times
 * are RFC 3339, or Unix seconds or nanoseconds. A Ray ID identifies one request.
 */
export const cloudflare = jsonRequestFormat({
  name: 'cloudflare',
  title: 'HTTP requests of Cloudflare Logpush',
  isRequest: (fields) => Object.hasOwn(fields, 'EdgeResponseStatus') || Object.hasOwn(fields, 'ClientRequestMethod'),
  valuesOf: (fields) => ({
    time: fields.EdgeStartTimestamp ?? fields.EdgeEndTimestamp,
    addresses: [fields.ClientIP],
    userAgent: fields.ClientRequestUserAgent,
    request: { method: fields.ClientRequestMethod, target: fields.ClientRequestURI ?? fields.ClientRequestPath },
    host: fields.ClientRequestHost,
    status: fields.EdgeResponseStatus,
    bytes: fields.EdgeResponseBodyBytes ?? fields.EdgeResponseBytes,
    mediaType: fields.EdgeResponseContentType,
    requestId: fields.RayID,
  }),
})
