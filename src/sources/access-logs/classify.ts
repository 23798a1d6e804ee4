import type { Micros } from '../../events/calendar.js'
import { FUTURE_TOLERANCE } from '../sender.js'
import { classifyObjectRequest } from './classify-object-request.js'
import { classifyRequest } from './classify-request.js'
import type { LoggedObjectRequest, LoggedRequest } from './log-format.js'
import type { ClassifiedLine } from './logged-read.js'

/**
 * Decides what a line with a request is. A pure function. The fields of a read satisfy the contract of `Sender.read` (sources/sender.ts):
 * names pass the checks of `events/reference.ts`, a host passes `isHost`, and `at` is at most a day after `now`.
 */
export const classify = (line: LoggedRequest | LoggedObjectRequest, now: Micros): ClassifiedLine => {
  if (line.at > now + FUTURE_TOLERANCE) return { class: 'in_future' }
  return line.kind === 'request' ? classifyRequest(line) : classifyObjectRequest(line)
}
