import { accessSync, constants, statSync } from 'node:fs'
import { fileProblem } from '../runtime/file-error.js'
import type { SettingProblem, Settings } from './settings.js'

type Expected = 'file' | 'directory'

/** The settings that name a file or a directory which is read as a whole, beside those that config.ts reads itself. */
const NAMED = {
  clients_file: 'file',
  country_file: 'file',
  docker_config: 'file',
  metrics_dir: 'directory',
  network_file: 'file',
  users_file: 'file',
} as const satisfies Partial<Record<keyof Settings, Expected>>

/** A problem for each file or directory that is named and cannot be read. Only looks at them: to open a pipe would end its writer. */
export const unreadableFiles = (settings: Pick<Settings, keyof typeof NAMED>): SettingProblem[] =>
  (Object.keys(NAMED) as (keyof typeof NAMED)[]).flatMap((key) => {
    const path = settings[key]
    const reason = path === undefined ? undefined : problemOf(path, NAMED[key])
    return path === undefined || reason === undefined ? [] : [{ key, message: `${path} cannot be read: ${reason}` }]
  })

const problemOf = (path: string, expected: Expected): string | undefined => {
  try {
    accessSync(path, constants.R_OK)
    const isDirectory = statSync(path).isDirectory()
    if (expected === 'directory') return isDirectory ? undefined : 'it is a file, expected a directory (ENOTDIR)'
    return isDirectory ? 'it is a directory, expected a file (EISDIR)' : undefined
  } catch (error) {
    return fileProblem(error) ?? (error as NodeJS.ErrnoException).code ?? 'unknown error'
  }
}
