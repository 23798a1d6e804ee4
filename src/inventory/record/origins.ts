import { createHmac } from 'node:crypto'
import type { RegistryEvent } from '../../events/registry-event.js'

const CHARACTERS = 22

/**
 * Tells clients apart without knowing them: a keyed hash (HMAC-SHA256, 128 bits, base64url) of address, user agent and the name of the user.
 * @returns undefined when an event has no address.
 */
export const createOrigins =
  (key: string) =>
  ({ address, userAgent = '', actor }: Pick<RegistryEvent, 'address' | 'userAgent' | 'actor'>): string | undefined =>
    address === undefined
      ? undefined
      : createHmac('sha256', `${key} origins`)
          .update(JSON.stringify([address, userAgent, actor.name ?? '']))
          .digest('base64url')
          .slice(0, CHARACTERS)
