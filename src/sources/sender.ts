import type { IncomingHttpHeaders } from 'node:http'
import type { Micros } from '../events/calendar.js'
import type { ReportedItem } from '../events/registry-event.js'
import { UserError } from '../runtime/user-error.js'

/** Who sent a delivery: the number of its token in the configuration, and the registry that the token names, if it does. */
export type TokenOfSender = { token: number; registry?: string }

/** The token of a delivery, or why the delivery is refused. */
export type Verified = TokenOfSender | 'missing' | 'wrong'

/** Looks a token up among the notification tokens of the configuration, in constant time. */
export type FindToken = (given: string | undefined) => Verified

/** The body of one request to the webhook. */
export type Delivery = {
  body: Buffer
  /** Names are in lower case. */
  headers: IncomingHttpHeaders
  now: Micros
}

/** A kind of registry, or of service, that reports events to the webhook. */
export type Sender = {
  /** Where it sends deliveries. The first is the one that messages name. */
  paths: readonly string[]
  /** Checks the headers of a request before its body is read. */
  verify: (headers: IncomingHttpHeaders, find: FindToken) => Verified
  /**
   * Makes an item of each thing that the body reports. Pure: the time comes in.
   * @throws NotADelivery if the body is none; TooManyValues if it has more values than contents. Both refuse the delivery, and the
   * sender is asked to send it again: an item that cannot be read is an `UnreadableEvent`, which harms none of its neighbours.
   */
  read: (delivery: Delivery) => readonly ReportedItem[] | Promise<readonly ReportedItem[]>
}

/** The body is not what the sender sends. The only contents that are answered 400. */
export class NotADelivery extends UserError {
  override readonly kind = 'invalid'
}

/** The body has more JSON values than its bytes can mean. Parsing it would take the memory that others need: 413. */
export class TooManyValues extends UserError {
  override readonly kind = 'too-large'
}
