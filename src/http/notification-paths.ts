import { SENDERS } from '../sources/senders.js'
import type { Sender } from '../sources/sender.js'

const BY_PATH: ReadonlyMap<string, Sender> = new Map(
  SENDERS.flatMap((sender) => sender.paths.map((path): [string, Sender] => [path, sender])),
)
/** The beginning of a misspelt path of a registry. */
const PREFIX = /^(?:\/api\/v4)?\/container[-_]?registry/

/** Where deliveries are sent, for messages: the first path of each sender. */
export const WEBHOOKS = SENDERS.map(({ paths: [path] }) => `POST ${path}`).join(' or ')

/**
 * Finds the sender that sends deliveries to a path. Harmless differences do not matter: upper-case letters, double slashes, a
 * slash at the end, and a whole URL, as proxies send it. The result is `near` if the path is probably a misspelt path of a
 * sender.
 * @param path the request's target without its query
 */
export const senderAt = (path: string): Sender | 'near' | undefined => {
  const sender = BY_PATH.get(path)
  if (sender) return sender
  // No path of the API is longer, so a longer path need not be compared further.
  const meant = path
    .slice(0, LONGEST)
    .toLowerCase()
    .replace(/^https?:\/\/[^/]*/, '')
    .replace(/\/{2,}/g, '/')
    .replace(/(?<=.)\/$/, '')
  const meantSender = path.length <= LONGEST ? BY_PATH.get(meant) : undefined
  return meantSender ?? (PREFIX.test(meant) ? 'near' : undefined)
}

const LONGEST = 512
