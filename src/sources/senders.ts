import { distribution } from './distribution/sender.js'
import type { Sender } from './sender.js'

/** All senders. A new one is a folder beside `distribution`, and a line here. */
export const SENDERS: readonly [Sender, ...Sender[]] = [distribution]
