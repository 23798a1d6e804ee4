import type { RegistryEvent } from '../events/registry-event.js'
import type { UncountedUserReason } from '../events/skip-reason.js'
import { comparable, DirectoryAway, type UserDirectory } from './directory.js'
import type { VerifyUserToken } from './user-token.js'

/** The id a person or deploy token is counted under, why there is none, or the name to ask for later. */
type Identity = { member: string } | { uncounted: UncountedUserReason } | { unresolved: string }

/** Tells who is behind an event; undefined for anonymous ones. */
export type Identify = (event: RegistryEvent, kind: 'user' | 'deploy_token') => Promise<Identity | undefined>

type Needs = {
  directory: UserDirectory
  /** Deploy tokens are no users, so no directory knows them: their name is hashed. */
  deployTokens: { idOf: (name: string) => string }
  /** Set where the registry sends GitLab's JWT in `actor.user`. */
  verifyUserToken?: VerifyUserToken
}

export const createIdentify = ({ directory, deployTokens, verifyUserToken }: Needs): Identify => {
  const byName = async (name: string): Promise<Identity> => {
    try {
      const id = await directory.idOf(name)
      return id === undefined ? { uncounted: 'unknown_user' } : { member: id }
    } catch (error) {
      if (error instanceof DirectoryAway) return { unresolved: comparable(name) }
      throw error
    }
  }

  return async ({ actor, at }, kind) => {
    if (verifyUserToken && actor.token !== undefined) {
      const claims = await verifyUserToken(actor.token, at)
      const id = kind === 'user' ? claims?.userId : claims?.deployTokenId
      return id === undefined ? { uncounted: 'bad_user_token' } : { member: id }
    }
    if (actor.name === undefined) return undefined
    if (kind === 'deploy_token') return { member: deployTokens.idOf(actor.name) }
    // One person must not be counted under the id of the token here and under a hash of the name there.
    if (verifyUserToken && directory.kind === 'hash') return { uncounted: 'no_user_token' }
    return byName(actor.name)
  }
}
