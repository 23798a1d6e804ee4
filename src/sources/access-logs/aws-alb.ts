import { addressBeforePort } from '../client-address.js'
import { parseTimestamp } from '../../events/calendar.js'
import { fieldsInLine } from './fields-in-line.js'
import type { LogFormat, ReadLine } from './log-format.js'
import { OTHER, toRequest, unreadable } from './logged-line.js'
import { unescaped } from './unescaped.js'

const BEGINNING = /^(?:https?|h2|grpcs|wss?) \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z app\/\S/
/** The fields up to the user agent. New ones are added at the end. */
const MOST_FIELDS = 14

const readLine: ReadLine = (line) => {
  if (line === '') return OTHER
  if (!BEGINNING.test(line)) return unreadable('the line does not begin with a type, a time and a load balancer')
  const fields = fieldsInLine(line, 0, MOST_FIELDS, 'escaped') ?? []
  const [, time, , client, , , , , status, , , bytes, request, userAgent] = fields
  if (request === undefined) return unreadable('the line has no request')
  return toRequest(parseTimestamp(time?.text ?? ''), {
    addresses: [addressBeforePort(client?.text ?? '')],
    userAgent: userAgent && unescaped(userAgent.text),
    request: unescaped(request.text),
    status: status?.text,
    bytes: bytes?.text,
  })
}

/**
 * The access log of an AWS Application Load Balancer (Elastic Load Balancing, "Access logs for your Application Load Balancer",
 * "Access log entries"). The time is that of the answer. The trace id is not read: a client may choose it.
 */
export const awsAlb: LogFormat = {
  name: 'aws-alb',
  title: 'AWS Application Load Balancer',
  recognizes: (line) => BEGINNING.test(line) && readLine(line).kind !== 'unreadable',
  createReader: () => readLine,
}
