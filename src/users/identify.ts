import type { RegistryEvent } from '../events/registry-event.js'
import type { UncountedUserReason } from '../events/skip-reason.js'
import { comparable, DirectoryAway, type UserDirectory } from './directory.js'
import type { VerifyUserToken } from './user-token.js'

/** The id a person or deploy token is counted under, why there is none, or the name to ask for later. */
export type Identity = { member: string } | { uncounted: UncountedUserReason } | { unresolved: string }

type Answer = Identity | undefined

/** Tells who is behind an event; undefined for anonymous ones. Most answers are there at once, and are not waited for. */
export type Identify = (event: RegistryEvent, kind: 'user' | 'deploy_token') => Answer | Promise<Answer>

type Needs = {
  directory: UserDirectory
  /** Deploy tokens are no users, so no directory knows them: their name is hashed. */
  deployTokens: { idOf: (name: string) => string }
  /** Set where the registry sends GitLab's JWT in `actor.user`. */
  verifyUserToken?: VerifyUserToken
}

export const createIdentify = ({ directory, deployTokens, verifyUserToken }: Needs): Identify => {
  const known = (id: string | undefined): Identity =>
    id === undefined ? { uncounted: 'unknown_user' } : { member: id }

  const byName = (name: string): Identity | Promise<Identity> => {
    const failed = (error: unknown): Identity => {
      if (error instanceof DirectoryAway) return { unresolved: comparable(name) }
      throw error
    }
    try {
      const id = directory.idOf(name)
      return id instanceof Promise ? id.then(known, failed) : known(id)
    } catch (error) {
      return failed(error)
    }
  }

  return ({ actor, at }, kind) => {
    if (verifyUserToken && actor.token !== undefined) {
      return verifyUserToken(actor.token, at).then((claims) => {
        const id = kind === 'user' ? claims?.userId : claims?.deployTokenId
        return id === undefined ? { uncounted: 'bad_user_token' } : { member: id }
      })
    }
    if (actor.name === undefined) return undefined
    if (kind === 'deploy_token') return { member: deployTokens.idOf(actor.name) }
    // One person must not be counted under the id of the token here and under a hash of the name there.
    if (verifyUserToken && directory.kind === 'hash') return { uncounted: 'no_user_token' }
    return byName(actor.name)
  }
}
