import { nearestName } from '../runtime/nearest-name.js'
import { environmentName, SETTINGS } from './settings.js'

/**
 * Variables that Kubernetes and Docker set in other containers for a service named tallyman, or tallyman-…: addresses, and no settings.
 */
const SERVICE_LINK = /_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?$/
const LINK_ADDRESS = /^(?:tcp|udp|sctp):\/\//

const PREFIX = 'TALLYMAN_'
/** All variables by their names without the prefix. */
const BY_SHORT_NAME: ReadonlyMap<string, string> = new Map(
  ['TALLYMAN_CONFIG', ...SETTINGS.map(environmentName)].map((name) => [name.replace(/^TALLYMAN_/, ''), name]),
)
const KNOWN: ReadonlySet<string> = new Set([
  'TALLYMAN_CONFIG',
  ...SETTINGS.map(environmentName).flatMap((name) => [name, `${name}_FILE`]),
])

/** The largest number of changed letters for a name to count as mistyped. */
const MOST_CHANGES = 5

/**
 * Warnings about variables with the prefix of settings that are no settings and have no effect: one sentence each, with the nearest
 * name and without the value. Empty variables are ignored.
 */
export const unknownVariables = (environment: Readonly<Record<string, string | undefined>>): string[] =>
  Object.entries(environment).flatMap(([name, value = '']) => {
    const upper = name.toUpperCase()
    if (value === '' || KNOWN.has(name) || !upper.startsWith(PREFIX)) return []
    if (SERVICE_LINK.test(upper) || (upper.endsWith('_PORT') && LINK_ADDRESS.test(value))) return []
    const nearest = nearestVariable(upper)
    return [
      `${name} is not a setting and has no effect: ` +
        (nearest === undefined ? 'docs/operations.md lists the settings' : `did you mean ${nearest}?`),
    ]
  })

const nearestVariable = (upper: string): string | undefined => {
  const file = upper.endsWith('_FILE') && !KNOWN.has(upper) ? '_FILE' : ''
  const wanted = upper.slice(PREFIX.length, file === '' ? undefined : -file.length)
  const nearest = nearestName(wanted, [...BY_SHORT_NAME.keys()], MOST_CHANGES)
  return nearest === undefined ? undefined : `${BY_SHORT_NAME.get(nearest) ?? ''}${file}`
}
