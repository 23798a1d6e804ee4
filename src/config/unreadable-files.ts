import { accessSync, constants, statSync } from 'node:fs'
import { fileProblem } from '../runtime/file-error.js'
import type { SettingProblem, SettingValues } from './settings.js'

type PathKind = 'file' | 'directory'

/** The settings that name a file or a directory, except those that config.ts reads itself. */
const NAMED = {
  clients_file: 'file',
  country_file: 'file',
  docker_config: 'file',
  metrics_dir: 'directory',
  network_file: 'file',
  users_file: 'file',
} as const satisfies Partial<Record<keyof SettingValues, PathKind>>

/** An error for each named file or directory that cannot be read. Does not open them: opening a pipe would end its writer. */
export const unreadableFiles = (settings: Pick<SettingValues, keyof typeof NAMED>): SettingProblem[] =>
  (Object.keys(NAMED) as (keyof typeof NAMED)[]).flatMap((key) => {
    const path = settings[key]
    const reason = path === undefined ? undefined : problemOf(path, NAMED[key])
    return path === undefined || reason === undefined ? [] : [{ key, message: `${path} cannot be read: ${reason}` }]
  })

const problemOf = (path: string, expected: PathKind): string | undefined => {
  try {
    accessSync(path, constants.R_OK)
    const isDirectory = statSync(path).isDirectory()
    if (expected === 'directory') return isDirectory ? undefined : 'it is a file, expected a directory (ENOTDIR)'
    return isDirectory ? 'it is a directory, expected a file (EISDIR)' : undefined
  } catch (error) {
    return fileProblem(error) ?? (error as NodeJS.ErrnoException).code ?? 'unknown error'
  }
}
