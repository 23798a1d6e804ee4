import { distribution } from './distribution/sender.js'
import type { Sender } from './sender.js'

/** All senders. To add one, create a directory beside `distribution`, and add it here. */
export const SENDERS: readonly [Sender, ...Sender[]] = [distribution]
