import type { Registry } from '../registries.js'

/** A user with a password, or a refresh token of the token flow (`identitytoken` in Docker's configuration). */
export type Credentials = { username: string; password: string } | { identityToken: string }

/** Finds credentials for a registry that is known under these hosts, the first that has any. */
export type FindCredentials = (hosts: readonly string[]) => Promise<Credentials | undefined>

/** Passwords change, and programs that tell them take their time. */
const REMEMBERED_MS = 5 * 60_000

/** The registry's own credentials, else those found under its address, its name or its aliases; asked for every 5 minutes. */
export const credentialsOf = (
  { username, password, url, name, aliases }: Registry,
  { find, now }: { find?: FindCredentials | undefined; now: () => Date },
): (() => Promise<Credentials | undefined>) => {
  if (username !== undefined && password !== undefined) return async () => Promise.resolve({ username, password })
  if (!find) return async () => Promise.resolve(undefined)
  const hosts = [...(url === undefined ? [] : [new URL(url).host]), name, ...aliases]
  let until = 0
  let found: Promise<Credentials | undefined> | undefined
  return async () => {
    if (!found || now().getTime() >= until) {
      until = now().getTime() + REMEMBERED_MS
      found = find(hosts)
      found.catch(() => (until = 0))
    }
    return found
  }
}
