import { tokenIn } from '../authorization-header.js'
import type { Sender } from '../sender.js'
import { readEnvelopeInTurns } from './envelope.js'

/** CNCF distribution and GitLab's registry. The paths are Tallyman's own path and the path of GitLab's API. */
export const distribution: Sender = {
  paths: ['/container_registry_event/events', '/api/v4/container_registry_event/events'],
  verify: (headers, find) => find(tokenIn(headers)),
  read: ({ body, now }) => readEnvelopeInTurns(body, now),
}
