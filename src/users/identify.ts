import type { RegistryEvent } from '../events/registry-event.js'
import type { UncountedUserReason } from '../events/outcome-reason.js'
import { comparable, DirectoryUnavailable, type UserDirectory } from './directory.js'
import type { VerifyUserToken } from './user-token.js'

/** The id under which a person or deploy token is counted, the reason why there is no id, or the name to look up later. */
export type UserIdentity = { member: string } | { uncounted: UncountedUserReason } | { unresolved: string }

type MaybeIdentity = UserIdentity | undefined

/** The kind of member for which an event is counted. */
type Kind = 'user' | 'deploy_token'

/** Identifies the actor of an event; undefined for an anonymous event. Synchronous in most cases. */
export type Identify = (event: RegistryEvent, kind: Kind) => MaybeIdentity | Promise<MaybeIdentity>

/** Identifies a user or deploy token by name only. */
export type IdentifyName = (name: string, kind: Kind) => UserIdentity | Promise<UserIdentity>

type IdentifyNameDeps = {
  directory: UserDirectory
  /** Hashes the names of deploy tokens, which are no users and therefore in no directory. */
  deployTokens: { idOf: (name: string) => string }
  /** Whether ids come from GitLab's JWT if an event has one. */
  hasUserTokens: boolean
}

/** Looks up or hashes all names, for events without a JWT and for the API. */
export const createIdentifyName = ({ directory, deployTokens, hasUserTokens }: IdentifyNameDeps): IdentifyName => {
  const known = (id: string | undefined): UserIdentity =>
    id === undefined ? { uncounted: 'unknown_user' } : { member: id }

  return (name, kind) => {
    const isHashed = kind === 'deploy_token' || directory.kind === 'hash'
    // A person or deploy token must not be counted both under the id of a JWT and under a hash of the name.
    if (hasUserTokens && isHashed) return { uncounted: 'no_user_token' }
    if (kind === 'deploy_token') return { member: deployTokens.idOf(name) }
    const failed = (error: unknown): UserIdentity => {
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
  /** Set if the registry sends GitLab's JWT in `actor.user`. */
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
