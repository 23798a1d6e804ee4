import type { Micros } from '../../events/calendar.js'
import { splitCombined, splitTail } from './combined-line.js'
import { TimeZoneMissing, type LogFormat, type LogLine } from './log-format.js'
import { OTHER, toRequest, unreadable } from './logged-line.js'
import { readLogTime, readSyslogTime } from './log-time.js'
import { isServerMessage } from './server-message.js'
import { createZoneClock } from './zone-clock.js'

/** The prefix that Harbor's log service writes: time, address of the sending container, name of the service, process. */
const PREFIX = /^([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d) \S{1,255} proxy(?:\[\d{1,10}\])?: /

const readAfterPrefix = (line: string, readSyslog: () => Micros | undefined): LogLine => {
  if (isServerMessage(line)) return OTHER
  const older = splitCombined(line)
  if (older !== undefined) return toRequest(readLogTime(older.time), older)
  const quote = line.indexOf('"')
  const tail = quote < 0 ? undefined : splitTail(line, quote)
  if (tail === undefined) return unreadable('the line is not of the form: address - "request" status bytes')
  const [address = ''] = line.slice(0, quote).split(' ', 1)
  return toRequest(readSyslog(), { ...tail, addresses: [address] })
}

/**
 * Harbor's proxy.log: its nginx sends lines to a syslog service (goharbor/harbor, `nginx.https.conf.jinja`, format `timed_combined`).
 * Lines have no user, and no time but that of the syslog prefix. Older versions of Harbor wrote user and time in brackets as well
 * (goharbor/harbor, issue 1495); then that time counts, because it has a year and a zone.
 */
export const harborNginx: LogFormat = {
  name: 'harbor-nginx',
  title: "Harbor's proxy.log",
  recognizes: (line) => {
    const [prefix] = PREFIX.exec(line) ?? []
    if (prefix === undefined) return false
    return readAfterPrefix(line.slice(prefix.length), () => 0).kind !== 'unreadable'
  },
  createReader: ({ timeZone, notAfter }) => {
    if (timeZone === undefined) {
      throw new TimeZoneMissing(
        "the times in Harbor's proxy.log have no time zone; give the zone of Harbor's host with --tz, for example --tz Europe/Berlin",
      )
    }
    const clock = createZoneClock(timeZone)
    return (line) => {
      const [prefix, time = ''] = PREFIX.exec(line) ?? []
      if (prefix === undefined)
        return line === '' ? OTHER : unreadable('the line has no syslog prefix of the service proxy')
      return readAfterPrefix(line.slice(prefix.length), () => readSyslogTime(time, clock, notAfter))
    }
  },
}
