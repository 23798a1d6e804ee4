import { nearestName } from '../runtime/nearest-name.js'
import type { RegistryIdentity } from '../registries/registry-identity.js'

type Named = { tokenNames: readonly string[]; identity: Pick<RegistryIdentity, 'configured'> }

/** The largest number of letters by which a mistyped host differs: two swapped letters are two changes. */
const MOST_CHANGES = 2

/**
 * A warning for each name of a notification token that is missing under `registries`, if that setting has other registries. A
 * mistyped name becomes a separate registry, and all events with its token belong to that registry.
 */
export const tokenNameWarnings = ({ tokenNames, identity }: Named): string[] => {
  const registries = identity.configured.list().map(({ name }) => name)
  const known = new Set([...registries, ...identity.configured.aliases().keys()])
  if (known.size === 0) return []
  return [...new Set(tokenNames)]
    .filter((name) => !known.has(name))
    .map((name) => {
      const nearest = nearestName(name, [...known], MOST_CHANGES)
      const meant = nearest === undefined ? '' : ` (did you mean ${nearest}?)`
      return (
        `notification_tokens: ${name}${meant} is not under registries, so events with its token count for a registry of this name: ` +
        `correct the name, or add ${name} to registries`
      )
    })
}
