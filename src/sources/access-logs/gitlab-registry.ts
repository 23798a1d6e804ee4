import { jsonRequestFormat } from './json-request-format.js'

/**
 * The access log of GitLab's container registry (LabKit's access logger in JSON; GitLab's docs, "Troubleshooting the container
 * registry", have a line). The correlation id is not an id of the request: the registry takes it from the request's X-Request-ID
 * header, and GitLab sends the same one with all requests for one page.
 */
export const gitlabRegistry = jsonRequestFormat({
  name: 'gitlab-registry',
  title: "access log of GitLab's container registry",
  isRequest: (fields) => fields.msg === 'access' && Object.hasOwn(fields, 'correlation_id'),
  valuesOf: (fields) => ({
    time: fields.time,
    addresses: [fields.remote_ip, fields.remote_addr],
    userAgent: fields.user_agent,
    request: { method: fields.method, target: fields.uri },
    host: fields.host,
    status: fields.status,
    bytes: fields.written_bytes,
    mediaType: fields.content_type,
  }),
})
