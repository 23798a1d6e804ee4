import { splitCombined } from './combined-line.js'
import type { LogFormat, ReadLine } from './log-format.js'
import { OTHER, toRequest, unreadable } from './logged-line.js'
import { statusIn } from './logged-values.js'
import { createCombinedScan } from './scan-combined.js'
import { readLogTime } from './log-time.js'
import { isServerMessage } from './server-message.js'

const readLine: ReadLine = (line) => {
  const split = splitCombined(line)
  if (split !== undefined) return toRequest(readLogTime(split.time), split)
  if (isServerMessage(line)) return OTHER
  return unreadable('the line is not of the form: address - user [time] "request" status bytes')
}

/**
 * The combined log format (Apache httpd, mod_log_config; nginx, `log_format combined`), and the common log format without referer
 * and user agent. Also with a virtual host before the address, and with any fields after the user agent: ingress-nginx, Traefik
 * (doc.traefik.io, "Access Logs", format `common`), Harbor's nginx in Kubernetes. The id of ingress-nginx at the end is not read: it
 * is the client's X-Request-ID header if the client sends one.
 */
export const combined: LogFormat = {
  name: 'combined',
  title: 'NCSA combined or common log: distribution, nginx, ingress-nginx, Apache, Traefik',
  recognizes: (line) => {
    const split = splitCombined(line)
    return split !== undefined && readLogTime(split.time) !== undefined && statusIn(split.status) !== undefined
  },
  createReader: () => readLine,
  createScan: createCombinedScan,
}
