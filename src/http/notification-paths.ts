/** Where registries send notifications: Tallyman's own path, and the one of GitLab's API. */
const NOTIFICATION_PATHS = ['/container_registry_event/events', '/api/v4/container_registry_event/events'] as const
const EXACT: ReadonlySet<string> = new Set(NOTIFICATION_PATHS)
/** What a misspelt path begins with. */
const PREFIX = /^(?:\/api\/v4)?\/container[-_]?registry/

export const WEBHOOK = `POST ${NOTIFICATION_PATHS[0]}`

/**
 * Whether a request is for the webhook. Harmless differences in the path do not matter: letters of the other case, doubled
 * slashes, a slash at the end, and the whole URL, as proxies send it. `near` is a path that was meant to be the webhook's.
 * @param path the request's target without its query
 */
export const webhookIn = (path: string): 'webhook' | 'near' | undefined => {
  if (EXACT.has(path)) return 'webhook'
  // No path of the API is longer, and only short ones are compared further.
  const meant = path
    .slice(0, LONGEST)
    .toLowerCase()
    .replace(/^https?:\/\/[^/]*/, '')
    .replace(/\/{2,}/g, '/')
    .replace(/(?<=.)\/$/, '')
  if (path.length <= LONGEST && EXACT.has(meant)) return 'webhook'
  return PREFIX.test(meant) ? 'near' : undefined
}

const LONGEST = 512
