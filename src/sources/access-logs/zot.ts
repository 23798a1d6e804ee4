import { headerIn, jsonRequestFormat } from './json-request-format.js'

/** The log of Zot (zot's source, `pkg/api/session.go`). One message, `HTTP API`, reports each request when it ends. */
export const zot = jsonRequestFormat({
  name: 'zot',
  title: 'log of Zot',
  isRequest: ({ message }) => message === 'HTTP API',
  valuesOf: ({ headers, ...fields }) => ({
    time: fields.time,
    addresses: [fields.clientIP],
    userAgent: headerIn(headers, 'User-Agent'),
    user: fields.username,
    request: { method: fields.method, target: fields.path },
    status: fields.statusCode,
    bytes: fields.bodySize,
    mediaType: onlyAccepted(headerIn(headers, 'Accept')),
  }),
})

/** Zot does not log the type of its answer. An answer has the type that its client accepts if the client names only one. */
const onlyAccepted = (accept: unknown): unknown => {
  if (typeof accept !== 'string') return undefined
  const types = accept.split(',').filter((type) => !type.trim().startsWith('*/*'))
  return types.length === 1 ? types[0] : undefined
}
