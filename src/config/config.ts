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
import { environmentName, readSettings, type SettingValues, type SettingProblem } from './settings.js'
import {
  configFile,
  FILE,
  fileReason,
  LARGEST_CONFIG,
  LARGEST_VALUE,
  readConfigFile,
  readEnvironment,
  type Environment,
} from './sourced-values.js'
import { unreadableFiles } from './unreadable-files.js'
import { unknownVariables } from './unknown-variables.js'
import { readPublicKey } from '../users/public-key.js'
import { UserError } from '../runtime/user-error.js'

/** The configuration is invalid. The message has a line for each error, with its key. */
export class ConfigError extends UserError {
  override readonly kind = 'setup'
  constructor(readonly problems: readonly string[]) {
    super(['The configuration cannot be used:', ...problems.map((problem) => `  ${problem}`)].join('\n'))
  }
}

const DAY_SECONDS = 24 * 60 * 60

export type Config = Readonly<
  Omit<SettingValues, 'clients_file' | 'listen' | 'user_directory' | 'user_token_key' | 'registries'> & {
    listen: { host: string; port: number }
    user_directory: 'hash' | 'file' | 'gitlab'
    /** The key that verifies GitLab's user tokens. */
    user_token_key?: KeyObject
    /** Reads the registries, at the start and when their files have changed. @throws RegistriesError */
    readRegistries: () => Registry[]
    /** The files that may contain registries, including missing ones. `registries_file` in tallyman.yml may change this list. */
    registriesFiles: () => readonly string[]
    /** Warnings about environment variables that are no settings, one sentence each. */
    unknown_variables: readonly string[]
    /** The file with the rules of events. */
    rules_file: string
    metrics_dir: string
    schema_dir: string
    lifetimes: { weekly: number; monthly: number }
    /** The files with rules for user agents, first the file of the installation. */
    clients_files: readonly string[]
    /** How long requests belong together. */
    windows: JoinWindows
  }
>

/**
 * Reads tallyman.yml (or the file that TALLYMAN_CONFIG names) and the environment, which takes precedence. A variable with `_FILE`
 * after its name may name a file with the value, as containers pass secrets.
 * @param home the directory that contains definitions/ and metrics/
 * @throws ConfigError with all errors
 */
export const readConfig = (environment: Environment, home: string): Config => {
  const problems: SettingProblem[] = []
  const file = readConfigFile(environment, problems)
  const variables = readEnvironment(environment, problems)
  const { settings, wrong } = readSettings({ ...file.values, ...variables.values })
  problems.push(...wrong)
  const config = {
    ...complete(settings, home, problems),
    ...registriesIn(environment, settings, problems),
    unknown_variables: unknownVariables(environment),
  }
  if (problems.length === 0) return Object.freeze(config)
  const sources = new Map([...file.sources, ...variables.sources])
  throw new ConfigError(problems.map(({ key, message }) => `${sources.get(key) ?? environmentName(key)}: ${message}`))
}

/**
 * Reads the registries of the configuration, which may also be a text in YAML or JSON, and of `registries_file`. Reading them throws
 * if one of the files cannot be read, so that the caller can keep the previous registries.
 */
const registriesIn = (
  environment: Environment,
  { registries: inSettings, registries_file }: SettingValues,
  problems: SettingProblem[],
): Pick<Config, 'readRegistries' | 'registriesFiles'> => {
  const own = configFile(environment)
  let registriesFile = registries_file
  const files = (): string[] => [own, ...(registriesFile === undefined ? [] : [registriesFile])]
  let written = files().filter(isWritten)
  const read = (): Registry[] => {
    const found: SettingProblem[] = []
    const file = readConfigFile(environment, found)
    const given = { ...file.values, ...readEnvironment(environment, []).values }
    const isRead = found.length === 0 && (isWritten(own) || !written.includes(own))
    if (isRead) registriesFile = typeof given.registries_file === 'string' ? given.registries_file : undefined
    const lost = files().filter((name) => written.includes(name) && !isWritten(name))
    const unread = [...lost.map((name) => `${name}: ${LOST}`), ...found.map(({ message }) => `${own}: ${message}`)]
    if (unread.length > 0) throw new RegistriesError(unread)
    const { registries } = given
    const inline: unknown = typeof registries === 'string' ? parseYaml(registries) : registries
    const all = readRegistries([inline ?? {}, ...(registriesFile === undefined ? [] : [documentIn(registriesFile)])])
    written = files().filter(isWritten)
    return all
  }
  try {
    // Errors of the file itself have already been reported.
    if (!problems.some(({ key }) => key === FILE)) read()
  } catch (error) {
    const found = error instanceof RegistriesError ? error.problems : [yamlProblem(error)]
    const isOnlyFile = registries_file !== undefined && inSettings === undefined
    const key = error instanceof RegistriesFileError || isOnlyFile ? 'registries_file' : 'registries'
    problems.push(...found.map((message) => ({ key, message })))
  }
  return { readRegistries: read, registriesFiles: files }
}

/** A file that is being rewritten is empty for a moment. Its registries must not be lost. */
const LOST = 'is empty or missing, and was not before; restart Tallyman if that is intended'

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
  settings: SettingValues,
  home: string,
  problems: SettingProblem[],
): Omit<Config, 'readRegistries' | 'registriesFiles' | 'unknown_variables'> => {
  const { data_dir, event_rules, clients_file, metrics_dir, users_file, user_token_key: keyFile, ...others } = settings
  const user_directory = settings.user_directory ?? (users_file === undefined ? 'hash' : 'file')
  // An invalid value has already been reported, and must not be reported as missing, too.
  const requireSetting = (key: keyof SettingValues): void => {
    if (settings[key] !== undefined || problems.some((problem) => problem.key === key)) return
    problems.push({ key, message: `is missing, and the user directory "${user_directory}" needs it` })
  }
  if (user_directory === 'file') requireSetting('users_file')
  if (user_directory === 'gitlab') {
    requireSetting('gitlab_url')
    requireSetting('gitlab_token')
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
