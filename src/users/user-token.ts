import type { KeyObject } from 'node:crypto'
import { jwtVerify } from 'jose'
import { dateOf, type Micros } from '../events/calendar.js'
import { userIdIn } from './user-id.js'

/** The client's identity according to GitLab. */
type UserTokenClaims = { userId?: string; deployTokenId?: string }

/** Returns the claims of a token that was valid at a given time; undefined if the token is forged, expired or unreadable. */
export type VerifyUserToken = (token: string, at: Micros) => Promise<UserTokenClaims | undefined>

const CLOCK_TOLERANCE_SECONDS = 5

/**
 * Verifies the JWT that GitLab puts into `actor.user`, signed with RS256 by the key of its registry settings.
 * The token must be valid at the time of the event, not of its arrival, because a registry may deliver events late.
 */
export const createUserTokenVerifier =
  (key: KeyObject): VerifyUserToken =>
  async (token, at) => {
    const verified = await jwtVerify(token, key, {
      algorithms: ['RS256'],
      currentDate: dateOf(at),
      clockTolerance: CLOCK_TOLERANCE_SECONDS,
    }).catch(() => undefined)
    return verified && claimsIn(verified.payload.user_info)
  }

const claimsIn = (userInfo: unknown): UserTokenClaims => {
  if (typeof userInfo !== 'object' || userInfo === null) return {}
  const { user_id, deploy_token_id } = userInfo as Record<string, unknown>
  const userId = userIdIn(user_id)
  const deployTokenId = userIdIn(deploy_token_id)
  return { ...(userId && { userId }), ...(deployTokenId && { deployTokenId }) }
}
