import { createHmac } from 'node:crypto'
import type { RegistryEvent } from '../../events/registry-event.js'

const CHARACTERS = 22

/**
 * Tells clients apart without knowing them: a keyed hash (HMAC-SHA256, 128 bits, base64url) of address and user agent.
 * @returns undefined when an event has no address.
 */
export const createOrigins =
  (key: string) =>
  ({ address, userAgent = '' }: Pick<RegistryEvent, 'address' | 'userAgent'>): string | undefined =>
    address === undefined
      ? undefined
      : createHmac('sha256', `${key} origins`)
          .update(`${address} ${userAgent}`)
          .digest('base64url')
          .slice(0, CHARACTERS)
