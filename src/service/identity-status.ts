import type { OpenConflict } from '../registries/conflicts.js'
import { MOST_HOSTS, MOST_PROCESSES } from '../registries/learned.js'
import type { IdentityInForce } from '../registries/registry-identity.js'
import type { Core } from './core.js'

/** How the registry of an event is identified, and which events are in doubt. */
export type IdentityStatus = IdentityInForce & {
  conflicts: OpenConflict[]
  /**
   * The limits that are reached, such as `hosts`, `processes` or `hosts of registry.example.com`: no more of these are learned.
   */
  full: string[]
  advice?: string
}

/** @param registries the number of registries that sent notifications */
export const identityStatus = (
  { identity: { mode, because, learned }, secrets }: Core,
  registries: number,
  conflicts: OpenConflict[],
): IdentityStatus => {
  const { hosts, processes, fullRegistries } = learned()
  const hasUnnamed = secrets.notificationTokens.some(({ registry }) => registry === undefined)
  return {
    mode,
    because,
    conflicts,
    full: [
      ...(hosts.size >= MOST_HOSTS ? ['hosts'] : []),
      ...(processes.size >= MOST_PROCESSES ? ['processes'] : []),
      ...fullRegistries().map((name) => `hosts of ${name}`),
    ],
    ...(hasUnnamed && (registries > 1 || conflicts.length > 0) && { advice: ADVICE }),
  }
}

const ADVICE =
  'clients choose the hosts that registries report: give each registry a token of its own, with its name, as ' +
  'notification_tokens: { registry.example.com: TOKEN }'
