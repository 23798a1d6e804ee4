import type { Fields } from '../../events/json.js'
import { gitlabRegistry } from './gitlab-registry.js'
import { fieldsOf, readFields, type TimedValues } from './json-request-format.js'
import { createReadTime } from './json-time.js'
import type { LogFormat, LogLine, NamedField, ReaderOptions } from './log-format.js'
import { OTHER, toRequest } from './logged-line.js'
import { isGiven } from './logged-values.js'
import { ALIASES } from './nginx-aliases.js'
import { splitRequestLine } from './request-line.js'
import { zot } from './zot.js'

type Names = ReaderOptions['fields']

/**
 * JSON access logs whose names the site chose: nginx's `log_format` with `escape=json`, and Envoy's or Istio's `json_format`. A
 * field has the name that the options give, or else one of the usual names (nginx-aliases.ts). A request line, `GET /v2/ HTTP/1.1`,
 * stands for method and target. Without `escape=json`, nginx writes lines that are not JSON.
 */
export const nginxJson: LogFormat = {
  name: 'nginx-json',
  title: 'JSON access log of nginx, Envoy or Istio with names that the site chose',
  recognizes: (line) => {
    const fields = fieldsOf(line)
    if (!fields || OTHER_PRODUCTS.some(({ recognizes }) => recognizes(line))) return false
    const values = valuesOf(fields, {})
    const at = readTimeWithZone(values.time)
    // Whether a time has a zone does not matter for recognition.
    return toRequest(at === 'zone-missing' ? 0 : at, values).kind === 'request'
  },
  createReader: ({ timeZone, fields: names }) => {
    const readTime = createReadTime(timeZone)
    return (line) =>
      readFields(line, (fields): LogLine => {
        const values = valuesOf(fields, names)
        return isAboutRequest(values) ? toRequest(readTime(values.time), values) : OTHER
      })
  },
}

/** Formats that also use names of the aliases. */
const OTHER_PRODUCTS = [gitlabRegistry, zot]
const readTimeWithZone = createReadTime()

/** Messages about something else may have one of these values, for example a status or a path. */
const isAboutRequest = ({ request, status }: JsonValues): boolean =>
  [request.method, request.target, status].filter(isGiven).length >= 2

type JsonValues = TimedValues & { request: { method: unknown; target: unknown } }

const valuesOf = (fields: Fields, names: Names): JsonValues => {
  const value = (field: NamedField): unknown => valuesFor(fields, field, names)[0]
  const target = value('target')
  const lineInTarget = lineIn(target)
  const line = names?.target === undefined ? lineIn(fields.request) : undefined
  // Both are as the client sent them. Names other than $request_uri may contain a normalized path.
  const sent = isGiven(fields.request_uri) ? target : line?.target
  return {
    time: value('time'),
    addresses: valuesFor(fields, 'address', names),
    userAgent: value('userAgent'),
    user: value('user'),
    request: {
      method: value('method') ?? (lineInTarget ?? line)?.method,
      target: lineInTarget?.target ?? sent ?? target,
    },
    host: value('host'),
    status: value('status'),
    bytes: value('bytes'),
    requestId: value('requestId'),
  }
}

/** The values of a field that the line contains, the preferred one first. */
const valuesFor = (fields: Fields, field: NamedField, names: Names): unknown[] => {
  const name = names?.[field]
  const candidates = name === undefined ? ALIASES[field] : [name]
  return candidates.filter((key) => Object.hasOwn(fields, key) && isGiven(fields[key])).map((key) => fields[key])
}

const lineIn = (value: unknown): ReturnType<typeof splitRequestLine> =>
  typeof value === 'string' ? splitRequestLine(value) : undefined
