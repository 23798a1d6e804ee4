import { isOver, NO_WAIT, waitOf } from '../../runtime/wait.js'
import type { Registry } from '../registries.js'

/** A user with a password, or a refresh token of the token flow (`identitytoken` in Docker's configuration). */
export type Credentials = { username: string; password: string } | { identityToken: string }

/** Finds credentials for a registry with several hosts: those of the first host that has any. */
export type FindCredentials = (hosts: readonly string[]) => Promise<Credentials | undefined>

/** Not for ever, because passwords change. Not each time, because credential helpers are slow. */
const REMEMBERED_MS = 5 * 60_000

/**
 * The credentials in the registry's configuration, or else credentials that are looked up for its address, its name or its
 * aliases. They are looked up again after 5 minutes.
 */
export const credentialsOf = (
  { username, password, url, name, aliases }: Registry,
  { find, now }: { find?: FindCredentials | undefined; now: () => Date },
): (() => Promise<Credentials | undefined>) => {
  if (username !== undefined && password !== undefined) return async () => Promise.resolve({ username, password })
  if (!find) return async () => Promise.resolve(undefined)
  const hosts = [...(url === undefined ? [] : [new URL(url).host]), name, ...aliases]
  let wait = NO_WAIT
  let found: Promise<Credentials | undefined> | undefined
  return async () => {
    if (!found || isOver(wait, now())) {
      wait = waitOf(REMEMBERED_MS, now())
      found = find(hosts)
      found.catch(() => (wait = NO_WAIT))
    }
    return found
  }
}
