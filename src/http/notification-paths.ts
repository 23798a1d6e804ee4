import { SENDERS } from '../sources/senders.js'
import type { Sender } from '../sources/sender.js'

const BY_PATH: ReadonlyMap<string, Sender> = new Map(
  SENDERS.flatMap((sender) => sender.paths.map((path): [string, Sender] => [path, sender])),
)
/** What a misspelt path begins with. */
const PREFIX = /^(?:\/api\/v4)?\/container[-_]?registry/

export const WEBHOOK = `POST ${SENDERS[0].paths[0]}`

/**
 * Whose deliveries come to a path. Harmless differences in the path do not matter: letters of the other case, doubled
 * slashes, a slash at the end, and the whole URL, as proxies send it. `near` is a path that was meant to be one of a sender.
 * @param path the request's target without its query
 */
export const senderAt = (path: string): Sender | 'near' | undefined => {
  const sender = BY_PATH.get(path)
  if (sender) return sender
  // No path of the API is longer, and only short ones are compared further.
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
