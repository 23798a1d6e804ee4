import { exists } from '../runtime/exists.js'
import { FileError } from '../runtime/file-error.js'
import { parseYaml } from '../runtime/parse-yaml.js'
import { readTextFile } from '../runtime/read-file.js'
import { yamlProblem } from '../runtime/yaml-problem.js'
import { environmentName, SETTINGS, type SettingProblem } from './settings.js'

export type Environment = Readonly<Record<string, string | undefined>>

/** Values by the keys of their settings, and the source of each value as error messages name it. */
export type SourcedValues = { values: Record<string, unknown>; sources: Map<string, string> }

/** The key for errors of the file itself: the key of the variable that names it. */
export const FILE = 'config'

/**
 * The forms of a missing value. All values of the file are texts, as in the environment: `listen: 3000` is the text `3000`, and a key
 * of many digits keeps all of them.
 */
const NOT_GIVEN: ReadonlySet<unknown> = new Set([null, undefined, '', '~', 'null'])

/** The file that TALLYMAN_CONFIG names. As for all variables, empty means missing. */
const namedFile = ({ TALLYMAN_CONFIG: name }: Environment): string | undefined => (name === '' ? undefined : name)

/** The configuration file, which may be missing if it is not named. */
export const configFile = (environment: Environment): string => namedFile(environment) ?? 'tallyman.yml'

/** The size limit of a configuration file in bytes. The running service reads it again, and 1 MiB takes half a second. */
export const LARGEST_CONFIG = 1_048_576
/** The size limit in bytes of a file with a single value, such as a secret. */
export const LARGEST_VALUE = 1_048_576

/** Why a file cannot be read; undefined if its content is invalid. */
export const fileReason = (error: unknown): string | undefined => {
  if (!(error instanceof FileError)) return undefined
  return error.code === 'ENOENT' ? 'there is no such file' : error.reason
}

/** The values of the configuration file. @param problems receives why the file cannot be used */
export const readConfigFile = (environment: Environment, problems: SettingProblem[]): SourcedValues => {
  const named = namedFile(environment)
  const name = configFile(environment)
  const sources = new Map([[FILE, named === undefined ? name : `${name} (from --config or TALLYMAN_CONFIG)`]])
  const empty = { values: {}, sources }
  if (named === undefined && !exists(name)) return empty
  try {
    const document: unknown = parseYaml(readTextFile(name, { bytes: LARGEST_CONFIG }))
    if (NOT_GIVEN.has(document)) return empty
    if (typeof document === 'object' && document !== null && !Array.isArray(document)) {
      const given = Object.entries(document).filter(([, value]) => !NOT_GIVEN.has(value))
      const values = Object.fromEntries(given)
      return { values, sources: new Map(Object.keys(values).map((key) => [key, `${key} (in ${name})`])) }
    }
    problems.push({ key: FILE, message: 'expected keys and values, one per line' })
  } catch (error) {
    problems.push({ key: FILE, message: fileReason(error) ?? yamlProblem(error) })
  }
  return empty
}

/** The values of variables, and of the files that variables with `_FILE` name. @param problems receives unreadable files */
export const readEnvironment = (environment: Environment, problems: SettingProblem[]): SourcedValues => {
  const given: SourcedValues = { values: {}, sources: new Map() }
  const take = (key: string, source: string, value: string): void => {
    given.values[key] = value
    given.sources.set(key, source)
  }
  for (const key of SETTINGS) {
    const name = environmentName(key)
    const direct = environment[name]
    // For some keys, such as registries, the variable with _FILE is a setting itself.
    const path = (SETTINGS as string[]).includes(`${key}_file`) ? undefined : environment[`${name}_FILE`]
    if (direct !== undefined && direct !== '') take(key, name, direct)
    else if (path !== undefined && path !== '') {
      given.sources.set(key, `${name}_FILE`)
      try {
        given.values[key] = readTextFile(path, { bytes: LARGEST_VALUE }).trim()
      } catch (error) {
        if (!(error instanceof FileError)) throw error
        problems.push({ key, message: error.message })
      }
    }
  }
  return given
}
