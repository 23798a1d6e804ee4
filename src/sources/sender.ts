import type { IncomingHttpHeaders } from 'node:http'
import { MICROS_PER_DAY, type Micros } from '../events/calendar.js'
import type { ReportedItem } from '../events/reported-item.js'
import { UserError } from '../runtime/user-error.js'

/** How far the clock of a registry may be ahead of ours. An hour would be enough for real clocks; a day is generous. */
export const FUTURE_TOLERANCE = MICROS_PER_DAY

/** The position of a delivery's token in the configuration, and the registry that the token names, if any. */
export type TokenOfSender = { token: number; registry?: string }

/** The token of a delivery, or the reason for a refusal. */
export type Verified = TokenOfSender | 'missing' | 'wrong'

/** Looks up a token among the configured notification tokens, in constant time. */
export type FindToken = (given: string | undefined) => Verified

/** The body of one request to the webhook. */
export type Delivery = {
  body: Buffer
  /** The names of headers are in lower case. */
  headers: IncomingHttpHeaders
  now: Micros
}

/** A kind of registry, or of service, that reports events to the webhook. */
export type Sender = {
  /** The paths of its deliveries. Messages contain the first one. */
  paths: readonly [string, ...string[]]
  /** Checks the headers of a request before its body is read. */
  verify: (headers: IncomingHttpHeaders, find: FindToken) => Verified
  /**
   * Reads each item of the body. A pure function: the time is a parameter.
   * @throws NotADelivery if the body is not a delivery; TooManyValues if it has too many values for its size. Both refuse the
   * whole delivery, and the sender will retry it. An unreadable item becomes an `UnreadableEvent` instead, and does not affect
   * other items.
   *
   * Nothing after `read` checks items again. So in each event and request:
   * - `at` is since 1970, and at most a day after `now`;
   * - `repository`, `tag` and `digest` pass the checks of `events/reference.ts`, and `method` is in upper case;
   * - `host` is in lower case, passes `isHost`, and is not UNKNOWN_REGISTRY; an address is an IP address without port and zone;
   * - all texts are bounded and storable (`exactText` and `freeText` of `events/side-fields.ts`): a name has at most 2,048 bytes, a user
   *   agent 512 characters.
   * A field beside these that is unreadable is left out, and named in `unreadableFields`.
   */
  read: (delivery: Delivery) => readonly ReportedItem[] | Promise<readonly ReportedItem[]>
}

/** The body is not in the format of the sender. The only error in a body that is answered with 400. */
export class NotADelivery extends UserError {
  override readonly kind = 'invalid'
}

/** The body has too many JSON values for its size. Parsing it would take too much memory, so it is answered with 413. */
export class TooManyValues extends UserError {
  override readonly kind = 'too-large'
}
