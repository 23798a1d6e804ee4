import { nearestName } from '../runtime/nearest-name.js'
import { environmentName, SETTINGS } from './settings.js'

/**
 * What Kubernetes and Docker set in the containers beside a service that is called tallyman, or tallyman-…: addresses, and no
 * settings.
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

/** Letters that have to be changed for a name to be taken for another one that was mistyped. */
const MOST_CHANGES = 5

/**
 * Variables whose names look like those of settings and are not, one sentence each with the nearest name; no value is in it. Such a
 * variable has no effect. An empty one is none.
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
