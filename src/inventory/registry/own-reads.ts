import { createHmac } from 'node:crypto'

/**
 * The User-Agent of our own requests to registries. The key in it is known to nobody else, so no client can pass its pulls
 * off as ours, and it is the same in all processes and versions of an installation.
 */
export const userAgentFor = (version: string, secret: string): string => `tallyman/${version} (${keyOf(secret)})`

/** Tells the events that our own requests caused: they are no pulls of anybody. */
export const createIsOwnRead = (secret: string): ((event: { userAgent?: string }) => boolean) => {
  const end = ` (${keyOf(secret)})`
  return ({ userAgent }) => userAgent !== undefined && userAgent.startsWith('tallyman/') && userAgent.endsWith(end)
}

const keyOf = (secret: string): string => createHmac('sha256', secret).update('own reads').digest('hex').slice(0, 16)
