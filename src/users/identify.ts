import type { RegistryEvent } from '../events/registry-event.js'
import type { UncountedUserReason } from '../events/outcome-reason.js'
import { comparable, DirectoryAway, type UserDirectory } from './directory.js'
import type { VerifyUserToken } from './user-token.js'

/** The id a person or deploy token is counted under, why there is none, or the name to ask for later. */
export type Identity = { member: string } | { uncounted: UncountedUserReason } | { unresolved: string }

type Answer = Identity | undefined

/** Whom an event is counted for. */
type Kind = 'user' | 'deploy_token'

/** Tells who is behind an event; undefined for anonymous ones. Most answers are there at once, and are not waited for. */
export type Identify = (event: RegistryEvent, kind: Kind) => Answer | Promise<Answer>

/** The same of a name alone. */
export type IdentifyName = (name: string, kind: Kind) => Identity | Promise<Identity>

type NameDeps = {
  directory: UserDirectory
  /** Deploy tokens are no users, so no directory knows them: their name is hashed. */
  deployTokens: { idOf: (name: string) => string }
  /** Whether ids come from GitLab's JWT where an event has one. */
  hasUserTokens: boolean
}

/** The one place where a name becomes an id: for events without a JWT, and for the API. */
export const createIdentifyName = ({ directory, deployTokens, hasUserTokens }: NameDeps): IdentifyName => {
  const known = (id: string | undefined): Identity =>
    id === undefined ? { uncounted: 'unknown_user' } : { member: id }

  return (name, kind) => {
    const isHashed = kind === 'deploy_token' || directory.kind === 'hash'
    // Nobody, person or deploy token, must be counted under the id of the JWT here and under a hash of the name there.
    if (hasUserTokens && isHashed) return { uncounted: 'no_user_token' }
    if (kind === 'deploy_token') return { member: deployTokens.idOf(name) }
    const failed = (error: unknown): Identity => {
      if (error instanceof DirectoryUnavailable) return { unresolved: comparable(name) }
      throw error
    }
    try {
      const id = directory.idOf(name)
      return id instanceof Promise ? id.then(known, failed) : known(id)
    } catch (error) {
      return failed(error)
    }
  }
}

type IdentifyDeps = {
  identifyName: IdentifyName
  /** Set where the registry sends GitLab's JWT in `actor.user`. */
  verifyUserToken?: VerifyUserToken
}

export const createIdentify =
  ({ identifyName, verifyUserToken }: IdentifyDeps): Identify =>
  ({ actor, at }, kind) => {
    if (verifyUserToken && actor.token !== undefined) {
      return verifyUserToken(actor.token, at).then((claims) => {
        const id = kind === 'user' ? claims?.userId : claims?.deployTokenId
        return id === undefined ? { uncounted: 'bad_user_token' } : { member: id }
      })
    }
    return actor.name === undefined ? undefined : identifyName(actor.name, kind)
  }
