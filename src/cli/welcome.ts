import { join } from 'node:path'
import type { Core } from '../service/core.js'
import { isAdmin } from '../tokens/api-tokens.js'

/**
 * The text that a start prints: new tokens that were not shown yet, or the files of the tokens; the configuration for a registry; and,
 * until a notification has arrived, a curl command that counts one push. Configured tokens are never printed.
 */
export const welcome = (
  { config, secrets, stores, hostname }: Core,
  { address, hasEvents }: { address: string; hasEvents: boolean },
): string => {
  // A wildcard address is no address for clients.
  const reached = address.replace(/\/\/(0\.0\.0\.0|\[::\]):/, `//${hostname}:`)
  const stored = `${stores.database.engine === 'pglite' ? `embedded PostgreSQL in ${config.data_dir}` : 'PostgreSQL'}, sketches in ${stores.sketches.name === 'redis' ? 'Redis' : 'the same database'}`
  const isNew = (file: string): boolean => secrets.unshown.includes(file)
  const shown = (file: string, token: string | undefined, isConfigured: boolean): string => {
    if (isNew(file)) return `${token ?? ''}   (created now, shown once; stored in ${join(config.data_dir, file)})`
    return isConfigured ? 'as configured' : `see ${join(config.data_dir, file)}`
  }
  const notification = isNew('notification.token') ? (secrets.notificationTokens[0]?.token ?? '') : 'NOTIFICATION_TOKEN'
  const event = {
    events: [
      {
        timestamp: new Date().toISOString(),
        action: 'push',
        target: { repository: 'team/app', tag: 'latest' },
        request: { host: 'registry.example.com' },
        actor: { name: 'alice' },
      },
    ],
  }
  const trial = `
Try it: this counts one push, which cannot be removed (to try it separately, start with TALLYMAN_DATA_DIR=/tmp/try)
  curl -X POST ${reached}/container_registry_event/events -H 'Authorization: Bearer ${notification}' \\
    -H 'Content-Type: application/json' -d '${JSON.stringify(event)}'
  npx tallyman counters list
`
  return `
Tallyman serves on ${address}
  stores              ${stored}
  notification token  ${shown('notification.token', secrets.notificationTokens[0]?.token, config.notification_tokens.length > 0)}
  API token           ${shown('api.token', secrets.apiTokens[0]?.token, config.api_tokens.some(isAdmin))}

Connect a registry (CNCF distribution, GitLab's): add to its configuration
  notifications:
    events:
      includereferences: true
    endpoints:
      - name: tallyman
        url: ${reached}/container_registry_event/events
        headers: { Authorization: [Bearer ${notification}] }
        timeout: 2s
        backoff: 1s

With several registries, give each its own token, with its name: notification_tokens in docs/operations.md
${hasEvents ? '' : trial}
`
}
