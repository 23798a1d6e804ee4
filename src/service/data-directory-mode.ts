import { statSync } from 'node:fs'

/** Rights of the group and of all others. */
const OTHERS = 0o077

/**
 * What to say of a data directory that other users of the machine may enter: it contains secrets and what is known of people.
 * @returns nothing if they may not, and if there is no such directory: with PostgreSQL and all secrets configured, none is made.
 */
export const openDirectoryWarnings = (directory: string): string[] => {
  const stats = statSync(directory, { throwIfNoEntry: false })
  const mode = (stats?.mode ?? 0) & 0o777
  if ((mode & OTHERS) === 0) return []
  return [`other users may enter the data directory ${directory} (mode ${mode.toString(8)}): chmod 700 '${directory}'`]
}
