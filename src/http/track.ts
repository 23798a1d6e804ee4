import { Router, type Request } from 'express'
import { z } from 'zod'
import { isResolved, unresolvedMember } from '../counters/contributions.js'
import type { Rules, UniqueKind } from '../counters/rules.js'
import type { Track, TrackedEvent } from '../counters/track.js'
import { isStorageUnavailable } from '../storage/unavailable.js'
import type { IdentifyName } from '../users/identify.js'
import { tokenIn } from '../sources/authorization-header.js'
import { nameText } from './name-text.js'
import { checked } from './parameters.js'
import { PossiblyCounted, RefusedRequest } from './problem.js'
import { usageDataPaths } from './usage-data-paths.js'

type TrackRoutesDeps = {
  track: Track
  rules: Rules
  identifyName: IdentifyName
  /** Hashes texts other than user names, such as the token of a caller. */
  hashed: { idOf: (text: string) => string }
}

const MOST_EVENTS = 50

const name = z.string().min(1).max(128)
const id = z.union([z.number().int(), nameText(255)]).transform(String)
const userId = id.refine((text) => isResolved({ member: text }), 'begins with a question mark, and no id does')
const who = { user_id: userId.optional(), username: nameText(255).optional() }

const counted = z.strictObject({ event: name, ...who })
const tracked = counted
  .extend({
    namespace_id: id.optional(),
    project_id: id.optional(),
    project_path: z.string().max(1_024).optional(),
    additional_properties: z.record(z.string(), z.unknown()).optional(),
    send_to_snowplow: z.union([z.boolean(), z.enum(['true', 'false'])]).optional(),
  })
  .refine(({ project_id, project_path }) => project_id === undefined || project_path === undefined, {
    path: ['project_id'],
    message: 'and project_path are mutually exclusive',
  })

/**
 * Counting from outside, with the paths, parameters and status codes of GitLab's usage data API. The counted user is `user_id`
 * unchanged, or `username` as in a notification, or else the caller, identified by its API token. If the user directory does not
 * answer, the name stays unresolved, like names in notifications.
 */
export const trackRoutes = ({ track: record, rules, identifyName, hashed }: TrackRoutesDeps): Router => {
  const track: Track = async (events) => {
    try {
      return await record(events)
    } catch (error) {
      throw isStorageUnavailable(error) ? new PossiblyCounted('a store does not answer', { cause: error }) : error
    }
  }
  const whoOf = async (
    request: Request,
    { user_id, username }: z.infer<typeof counted>,
    kind: UniqueKind,
  ): Promise<Pick<TrackedEvent, 'member' | 'uncounted'>> => {
    if (user_id !== undefined) return { member: user_id }
    if (username === undefined) return { member: hashed.idOf(`token ${tokenIn(request.headers) ?? ''}`) }
    const identity = await identifyName(username, kind)
    return 'unresolved' in identity ? { member: unresolvedMember(identity.unresolved) } : identity
  }
  const trackedEvent = async (
    request: Request,
    event: z.infer<typeof counted>,
    as: TrackedEvent['as'],
  ): Promise<TrackedEvent> => {
    const kind = rules.events.get(event.event)?.unique
    return { event: event.event, as, ...(kind && (await whoOf(request, event, kind))) }
  }

  return Router()
    .post(usageDataPaths('/increment_counter'), async (request, response) => {
      const { event } = checked(counted, parametersOf(request))
      response.json(await track([{ event, as: 'total' }]))
    })
    .post(usageDataPaths('/increment_unique_users'), async (request, response) => {
      response.json(await track([await trackedEvent(request, checked(counted, parametersOf(request)), 'unique')]))
    })
    .post(usageDataPaths('/track_event'), async (request, response) => {
      response.json(await track([await trackedEvent(request, checked(tracked, parametersOf(request)), 'both')]))
    })
    .post(usageDataPaths('/track_events'), async (request, response) => {
      const { events, ...others } = parametersOf(request)
      checked(z.strictObject({}), others)
      if (!Array.isArray(events)) throw new RefusedRequest(400, 'events: is a list of events')
      if (events.length > MOST_EVENTS) {
        throw new RefusedRequest(400, `Maximum ${MOST_EVENTS} events allowed in one request.`)
      }
      const all = events.map((event: unknown, i) => checked(tracked, event, `events[${i}]`))
      response.json(await track(await Promise.all(all.map(async (event) => trackedEvent(request, event, 'both')))))
    })
}

const parametersOf = (request: Request): Record<string, unknown> => ({
  ...(request.query as Record<string, unknown>),
  ...((request.body as Record<string, unknown> | undefined) ?? {}),
})
