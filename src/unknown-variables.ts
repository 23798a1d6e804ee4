import { environmentName, SETTINGS } from './settings.js'

/**
 * What Kubernetes and Docker set in the containers beside a service that is called tallyman, or tallyman-…: addresses, and no
 * settings.
 */
const SERVICE_LINK = /_SERVICE_(?:HOST|PORT(?:_[A-Z0-9_]+)?)$|_PORT_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?$/
const LINK_ADDRESS = /^(?:tcp|udp|sctp):\/\//

const NAMES: readonly string[] = ['TALLYMAN_CONFIG', ...SETTINGS.map(environmentName)]
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
    if (value === '' || KNOWN.has(name) || !upper.startsWith('TALLYMAN_')) return []
    if (SERVICE_LINK.test(upper) || (upper.endsWith('_PORT') && LINK_ADDRESS.test(value))) return []
    const nearest = nearestName(upper)
    return [
      `${name} is not a setting and has no effect: ` +
        (nearest === undefined ? 'docs/operations.md lists the settings' : `did you mean ${nearest}?`),
    ]
  })

const nearestName = (upper: string): string | undefined => {
  const file = upper.endsWith('_FILE') && !KNOWN.has(upper) ? '_FILE' : ''
  const wanted = upper.slice('TALLYMAN_'.length, file === '' ? undefined : -file.length)
  const known = NAMES.map((name) => ({ name, distance: distanceOf(wanted, name.replace(/^TALLYMAN_/, '')) }))
  const [first] = known.sort((a, b) => a.distance - b.distance)
  return first && first.distance <= Math.min(MOST_CHANGES, wanted.length / 2) ? `${first.name}${file}` : undefined
}

/** Letters to insert, to remove or to replace (Levenshtein). */
const distanceOf = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 0; i < a.length; i++) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      const replaced = (row[j] ?? 0) + (a[i] === b[j] ? 0 : 1)
      next.push(Math.min(replaced, (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
