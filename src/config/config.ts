import type { KeyObject } from 'node:crypto'
import { existsSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { MICROS_PER_SECOND } from '../events/calendar.js'
import { exists } from '../runtime/exists.js'
import { FileError } from '../runtime/file-error.js'
import { readTextFile } from '../runtime/read-file.js'
import { parseYaml } from '../runtime/parse-yaml.js'
import { yamlProblem } from '../runtime/yaml-problem.js'
import { readRegistries, RegistriesError } from '../registries/read-registries.js'
import type { Registry } from '../registries/registries.js'
import type { JoinWindows } from '../pulls/model/join-windows.js'
import { environmentName, readSettings, SETTINGS, type Settings, type SettingProblem } from './settings.js'
import { unreadableFiles } from './unreadable-files.js'
import { unknownVariables } from './unknown-variables.js'
import { readPublicKey } from '../users/public-key.js'

/** The configuration is wrong. The message has a line for every problem, naming its key. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(['The configuration cannot be used:', ...problems.map((problem) => `  ${problem}`)].join('\n'))
  }
}

const DAY_SECONDS = 24 * 60 * 60

export type Config = Readonly<
  Omit<Settings, 'clients_file' | 'listen' | 'user_directory' | 'user_token_key' | 'registries'> & {
    listen: { host: string; port: number }
    user_directory: 'hash' | 'file' | 'gitlab'
    /** What GitLab's user tokens are verified with. */
    user_token_key?: KeyObject
    /** Reads the registries, now and when their files changed. @throws RegistriesError */
    readRegistries: () => Registry[]
    /** The files that may contain them, also those that do not exist yet. `registries_file` of tallyman.yml may change them. */
    registriesFiles: () => readonly string[]
    /** Variables of the environment that are no settings, a sentence each. */
    unknown_variables: readonly string[]
    /** The file of the rules. */
    rules_file: string
    metrics_dir: string
    schema_dir: string
    lifetimes: { weekly: number; monthly: number }
    /** The files of rules for user agents, those of the installation first. */
    clients_files: readonly string[]
    /** How long requests belong together. */
    windows: JoinWindows
  }
>

type Environment = Readonly<Record<string, string | undefined>>

/** Values by the keys of their settings, and where each of them stands, as a problem names it. */
type Given = { values: Record<string, unknown>; places: Map<string, string> }

/**
 * Reads tallyman.yml (or the file TALLYMAN_CONFIG names) and the environment; the environment wins. A variable may also be
 * given as a file, with `_FILE` behind its name, as containers pass secrets.
 * @param home the folder that holds definitions/ and metrics/.
 * @throws ConfigError with every problem found.
 */
export const readConfig = (environment: Environment, home: string): Config => {
  const problems: SettingProblem[] = []
  const file = readFile(environment, problems)
  const variables = readEnvironment(environment, problems)
  const { settings, wrong } = readSettings({ ...file.values, ...variables.values })
  problems.push(...wrong)
  const config = {
    ...complete(settings, home, problems),
    ...registriesIn(environment, settings, problems),
    unknown_variables: unknownVariables(environment),
  }
  if (problems.length === 0) return Object.freeze(config)
  const places = new Map([...file.places, ...variables.places])
  throw new ConfigError(problems.map(({ key, message }) => `${places.get(key) ?? environmentName(key)}: ${message}`))
}

/** The key under which problems of the file itself are told: of the variable that names it. */
const FILE = 'config'

/**
 * Values are texts in the file as in the environment: `listen: 3000` is meant as it stands, and a key of many digits keeps
 * them all. These are how YAML says that there is none.
 */
const NOT_GIVEN: ReadonlySet<unknown> = new Set([null, undefined, '', '~', 'null'])

/** The file that TALLYMAN_CONFIG names; like any variable, an empty one is the same as none. */
const namedFile = ({ TALLYMAN_CONFIG: name }: Environment): string | undefined => (name === '' ? undefined : name)

const configFile = (environment: Environment): string => namedFile(environment) ?? 'tallyman.yml'

/** Bytes of a file of the configuration: it is read again while the service runs, and 1 MiB takes half a second. */
const LARGEST_CONFIG = 1_048_576
/** Bytes of a file that has a single value, as a secret. */
const LARGEST_VALUE = 1_048_576

/** What keeps a file from being read; undefined if its content is wrong. */
const fileReason = (error: unknown): string | undefined => {
  if (!(error instanceof FileError)) return undefined
  return error.code === 'ENOENT' ? 'there is no such file' : error.reason
}

const readFile = (environment: Environment, problems: SettingProblem[]): Given => {
  const named = namedFile(environment)
  const name = configFile(environment)
  const places = new Map([[FILE, named === undefined ? name : `${name} (from --config or TALLYMAN_CONFIG)`]])
  const nothing = { values: {}, places }
  if (named === undefined && !exists(name)) return nothing
  try {
    const document: unknown = parseYaml(readTextFile(name, { bytes: LARGEST_CONFIG }))
    if (NOT_GIVEN.has(document)) return nothing
    if (typeof document === 'object' && document !== null && !Array.isArray(document)) {
      const given = Object.entries(document).filter(([, value]) => !NOT_GIVEN.has(value))
      const values = Object.fromEntries(given)
      return { values, places: new Map(Object.keys(values).map((key) => [key, `${key} (in ${name})`])) }
    }
    problems.push({ key: FILE, message: 'expected keys and values, one per line' })
  } catch (error) {
    problems.push({ key: FILE, message: fileReason(error) ?? yamlProblem(error) })
  }
  return nothing
}

const readEnvironment = (environment: Environment, problems: SettingProblem[]): Given => {
  const given: Given = { values: {}, places: new Map() }
  const take = (key: string, place: string, value: string): void => {
    given.values[key] = value
    given.places.set(key, place)
  }
  for (const key of SETTINGS) {
    const name = environmentName(key)
    const direct = environment[name]
    // Where a setting of its own names the file, as for registries, that one is meant.
    const path = (SETTINGS as string[]).includes(`${key}_file`) ? undefined : environment[`${name}_FILE`]
    if (direct !== undefined && direct !== '') take(key, name, direct)
    else if (path !== undefined && path !== '') {
      given.places.set(key, `${name}_FILE`)
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

/**
 * Registries stand in the configuration, where they may be texts of YAML or JSON as well, and in a file of their own. Reading
 * them throws when one of the files cannot be read, so that those of before can stay.
 */
const registriesIn = (
  environment: Environment,
  { registries: inSettings, registries_file }: Settings,
  problems: SettingProblem[],
): Pick<Config, 'readRegistries' | 'registriesFiles'> => {
  const own = configFile(environment)
  let apart = registries_file
  const files = (): string[] => [own, ...(apart === undefined ? [] : [apart])]
  let written = files().filter(isWritten)
  const read = (): Registry[] => {
    const found: SettingProblem[] = []
    const file = readFile(environment, found)
    const given = { ...file.values, ...readEnvironment(environment, []).values }
    const isRead = found.length === 0 && (isWritten(own) || !written.includes(own))
    if (isRead) apart = typeof given.registries_file === 'string' ? given.registries_file : undefined
    const lost = files().filter((name) => written.includes(name) && !isWritten(name))
    const unread = [...lost.map((name) => `${name}: ${LOST}`), ...found.map(({ message }) => `${own}: ${message}`)]
    if (unread.length > 0) throw new RegistriesError(unread)
    const { registries } = given
    const inline: unknown = typeof registries === 'string' ? parseYaml(registries) : registries
    const all = readRegistries([inline ?? {}, ...(apart === undefined ? [] : [documentIn(apart)])])
    written = files().filter(isWritten)
    return all
  }
  try {
    // What is wrong with the file itself is told already.
    if (!problems.some(({ key }) => key === FILE)) read()
  } catch (error) {
    const found = error instanceof RegistriesError ? error.problems : [yamlProblem(error)]
    const isOnlyFile = registries_file !== undefined && inSettings === undefined
    const key = error instanceof RegistriesFileError || isOnlyFile ? 'registries_file' : 'registries'
    problems.push(...found.map((message) => ({ key, message })))
  }
  return { readRegistries: read, registriesFiles: files }
}

/** A file that is being written anew is empty for a moment: its registries are not forgotten for that. */
const LOST = 'is empty or gone, and was not before; restart Tallyman if that is meant'

const isWritten = (file: string): boolean => existsSync(file) && statSync(file).size > 0

/** The file that registries_file names cannot be read. */
class RegistriesFileError extends RegistriesError {}

const documentIn = (file: string): unknown => {
  try {
    return parseYaml(readTextFile(file, { bytes: LARGEST_CONFIG })) ?? {}
  } catch (error) {
    throw new RegistriesFileError([`${file}: ${fileReason(error) ?? yamlProblem(error)}`])
  }
}

const complete = (
  settings: Settings,
  home: string,
  problems: SettingProblem[],
): Omit<Config, 'readRegistries' | 'registriesFiles' | 'unknown_variables'> => {
  const { data_dir, event_rules, clients_file, metrics_dir, users_file, user_token_key: keyFile, ...others } = settings
  const user_directory = settings.user_directory ?? (users_file === undefined ? 'hash' : 'file')
  // A value that was given and is wrong is told already; it is not missing as well.
  const needs = (key: keyof Settings): void => {
    if (settings[key] !== undefined || problems.some((problem) => problem.key === key)) return
    problems.push({ key, message: `is missing, and the user directory "${user_directory}" needs it` })
  }
  if (user_directory === 'file') needs('users_file')
  if (user_directory === 'gitlab') {
    needs('gitlab_url')
    needs('gitlab_token')
  }
  const shipped = join(home, 'definitions', 'events', `${event_rules}.yml`)
  const rules_file = /^[\w-]+$/.test(event_rules) ? shipped : resolve(event_rules)
  const missingRules = problemOfRules(rules_file)
  if (missingRules !== undefined) problems.push({ key: 'event_rules', message: missingRules })
  const isFileUsed = user_directory === 'file'
  problems.push(...unreadableFiles({ ...settings, ...(!isFileUsed && { users_file: undefined }) }))
  const user_token_key = keyFile === undefined ? undefined : readKeyFile(keyFile, problems)

  return {
    ...others,
    users_file,
    user_directory,
    event_rules,
    rules_file,
    ...(user_token_key && { user_token_key }),
    data_dir: resolve(data_dir),
    listen: addressOf(settings.listen, problems),
    metrics_dir: resolve(metrics_dir ?? join(home, 'metrics')),
    schema_dir: join(home, 'definitions', 'schema'),
    lifetimes: {
      weekly: settings.weekly_lifetime_days * DAY_SECONDS,
      monthly: settings.monthly_lifetime_days * DAY_SECONDS,
    },
    clients_files: [
      ...(clients_file === undefined ? [] : [resolve(clients_file)]),
      join(home, 'definitions', 'clients.yml'),
    ],
    windows: {
      join: settings.pulls_join_window_seconds * MICROS_PER_SECOND,
      blobs: settings.pulls_blob_window_seconds * MICROS_PER_SECOND,
      session: settings.pulls_session_gap_seconds * MICROS_PER_SECOND,
    },
  }
}

const problemOfRules = (file: string): string | undefined => {
  try {
    if (exists(file)) return undefined
    return `${file} does not exist; expected the name of a file in definitions/events or a path`
  } catch (error) {
    return (error as Error).message
  }
}

const addressOf = (listen: string, problems: SettingProblem[]): { host: string; port: number } => {
  const [, host = '', port = ''] = /^(?:(.*):)?(\d+)$/.exec(listen) ?? []
  if (Number(port) > 65_535) {
    problems.push({ key: 'listen', message: `${port} is not a port, expected at most 65535` })
  }
  return { host: host.replace(/^\[|\]$/g, '') || '127.0.0.1', port: Number(port) }
}

const readKeyFile = (path: string, problems: SettingProblem[]): KeyObject | undefined => {
  try {
    return readPublicKey(readTextFile(path, { bytes: LARGEST_VALUE }))
  } catch (error) {
    const unfit = error instanceof TypeError ? `: ${error.message}` : undefined
    const unread = error instanceof FileError ? ` ${error.reason}` : ' cannot be read'
    const message = `${path}${unfit ?? `${unread}, expected the path of a key or certificate in PEM form`}`
    problems.push({ key: 'user_token_key', message })
    return undefined
  }
}
