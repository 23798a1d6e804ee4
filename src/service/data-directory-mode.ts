import { statSync } from 'node:fs'

/** The permission bits of the group and of all other users. */
const OTHERS = 0o077

/**
 * Warns if other users of the machine may enter the data directory, which contains secrets and personal data.
 * @returns no warning if they may not, or if the directory does not exist: with PostgreSQL and configured secrets, it is not
 * created
 */
export const openDirectoryWarnings = (directory: string): string[] => {
  const stats = statSync(directory, { throwIfNoEntry: false })
  const mode = (stats?.mode ?? 0) & 0o777
  if ((mode & OTHERS) === 0) return []
  return [`other users may enter the data directory ${directory} (mode ${mode.toString(8)}): chmod 700 '${directory}'`]
}
