import { existsSync, readFileSync } from 'node:fs'
import { isAbsolute, join, resolve } from 'node:path'
import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import { isCronExpression } from './jobs.js'

/** The configuration is wrong. The message has a line for every problem, naming its key. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(['The configuration cannot be used:', ...problems.map((problem) => `  ${problem}`)].join('\n'))
  }
}

const DAY_SECONDS = 24 * 60 * 60

const list = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? value
          .split(',')
          .map((part) => part.trim())
          .filter((part) => part !== '')
      : value,
  z.array(z.coerce.string()),
)
const yesOrNo = z.preprocess(
  (value) =>
    typeof value === 'string'
      ? ({ true: true, yes: true, '1': true, false: false, no: false, '0': false }[value.toLowerCase()] ?? value)
      : value,
  z.boolean('expected true or false'),
)
const wholeNumber = (least: number): z.ZodType<number> =>
  z.coerce.number('expected a number').int('expected a whole number').min(least, `expected at least ${least}`)
const webAddress = z.url({ protocol: /^https?$/, error: 'expected an address like https://host/path' })

/** Every setting: its key in tallyman.yml, and TALLYMAN_<KEY> in the environment unless ENVIRONMENT says otherwise. */
const settings = z.strictObject({
  listen: z
    .string()
    .regex(/^(?:(?:\[[0-9a-f:]+\]|[^:[\]\s]+)?:)?\d{1,5}$/i, 'expected host:port, as 127.0.0.1:3000')
    .default('127.0.0.1:3000'),
  data_dir: z.string().min(1).default('./data'),
  database_url: z
    .string()
    .regex(/^postgres(ql)?:\/\/.+/, 'expected postgres://user:password@host:5432/database')
    .optional(),
  redis_url: z
    .string()
    .regex(
      /^rediss?(-cluster|-sentinel)?:\/\/.+/,
      'expected redis://host:6379, rediss://…, redis-cluster://host:port,host:port or redis-sentinel://host:port/master',
    )
    .optional(),
  notification_tokens: list.default([]),
  api_tokens: list.default([]),
  user_directory: z.enum(['hash', 'file', 'gitlab'], 'expected hash, file or gitlab').optional(),
  users_file: z.string().min(1).optional(),
  users_key: z.string().min(16, 'expected at least 16 characters').optional(),
  gitlab_url: webAddress.optional(),
  gitlab_token: z.string().min(1).optional(),
  user_token_key: z.string().min(1).optional(),
  event_rules: z.string().min(1).default('registry'),
  metrics_dir: z.string().min(1).optional(),
  metrics_public: yesOrNo.default(false),
  ping_enabled: yesOrNo.default(true),
  ping_url: webAddress.optional(),
  ping_cron: z.string().refine(isCronExpression, 'expected a cron expression, as "44 10 * * 4"').optional(),
  ping_time_zone: z.string().refine(isTimeZone, 'expected an IANA time zone, as Europe/Berlin').default('UTC'),
  ping_optional_metrics: yesOrNo.default(true),
  hostname: z.string().min(1).optional(),
  weekly_lifetime_days: wholeNumber(1).default(42),
  monthly_lifetime_days: wholeNumber(1).default(400),
  event_id_days: wholeNumber(1).default(14),
  rejected_event_days: wholeNumber(1).default(30),
  largest_body_bytes: wholeNumber(1_024).default(1024 * 1024),
  log_level: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'silent']).default('info'),
})

/** Names that others have chosen already. */
const ENVIRONMENT: Partial<Record<keyof z.input<typeof settings>, string>> = {
  database_url: 'DATABASE_URL',
  redis_url: 'REDIS_URL',
}

const environmentName = (key: string): string =>
  ENVIRONMENT[key as keyof typeof ENVIRONMENT] ?? `TALLYMAN_${key.toUpperCase()}`

export type Config = Readonly<
  Omit<z.output<typeof settings>, 'listen' | 'user_directory'> & {
    listen: { host: string; port: number }
    user_directory: 'hash' | 'file' | 'gitlab'
    /** The file of the rules. */
    rules_file: string
    metrics_dir: string
    schema_dir: string
    lifetimes: { weekly: number; monthly: number }
  }
>

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads tallyman.yml (or the file TALLYMAN_CONFIG names) and the environment; the environment wins. A variable may also be
 * given as a file, with `_FILE` behind its name, as containers pass secrets.
 * @param home the folder that holds definitions/ and metrics/.
 * @throws ConfigError with every problem found.
 */
export const readConfig = (environment: Environment, home: string): Config => {
  const problems: string[] = []
  const sources = new Map<string, string>()
  const file = readFile(environment, problems)
  for (const key of Object.keys(file.values)) sources.set(key, `${key} (in ${file.name})`)
  const fromEnvironment = readEnvironment(environment, problems)
  for (const key of Object.keys(fromEnvironment)) sources.set(key, environmentName(key))

  const { success, data, error } = settings.safeParse({ ...file.values, ...fromEnvironment })
  if (!success) problems.push(...error.issues.flatMap((issue) => inWords(issue, sources, file.name)))
  const config = success ? complete(data, home, problems) : undefined
  if (!config || problems.length > 0) throw new ConfigError(problems)
  return Object.freeze(config)
}

const readFile = (environment: Environment, problems: string[]): { name: string; values: Record<string, unknown> } => {
  const named = environment.TALLYMAN_CONFIG
  const name = named ?? 'tallyman.yml'
  if (named === undefined && !existsSync(name)) return { name, values: {} }
  try {
    const document: unknown = parseYaml(readFileSync(name, 'utf8'))
    if (document === null || document === undefined) return { name, values: {} }
    if (typeof document === 'object' && !Array.isArray(document))
      return { name, values: document as Record<string, unknown> }
    problems.push(`${name}: expected keys and values, one per line`)
  } catch (error) {
    const reason = (error as { code?: string }).code === 'ENOENT' ? 'there is no such file' : 'not YAML'
    problems.push(`${named === undefined ? name : `TALLYMAN_CONFIG: ${name}`}: ${reason}`)
  }
  return { name, values: {} }
}

const readEnvironment = (environment: Environment, problems: string[]): Record<string, string> => {
  const values: Record<string, string> = {}
  for (const key of Object.keys(settings.shape)) {
    const name = environmentName(key)
    const direct = environment[name]
    const path = environment[`${name}_FILE`]
    if (direct !== undefined && direct !== '') values[key] = direct
    else if (path !== undefined && path !== '') {
      try {
        values[key] = readFileSync(path, 'utf8').trim()
      } catch {
        problems.push(`${name}_FILE: ${path} cannot be read`)
      }
    }
  }
  return values
}

const inWords = (issue: z.core.$ZodIssue, sources: Map<string, string>, file: string): string[] => {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => `${key} (in ${file}): is not a setting; docs/operations.md lists them`)
  const key = String(issue.path[0] ?? '')
  return [`${sources.get(key) ?? environmentName(key)}: ${issue.message}`]
}

const complete = (data: z.output<typeof settings>, home: string, problems: string[]): Config => {
  const user_directory = data.user_directory ?? (data.users_file === undefined ? 'hash' : 'file')
  const needs = (key: keyof typeof data, reason: string): void => {
    if (data[key] === undefined) problems.push(`${environmentName(key)}: is missing, and ${reason} needs it`)
  }
  if (user_directory === 'file') needs('users_file', 'the user directory "file"')
  if (user_directory === 'gitlab') {
    needs('gitlab_url', 'the user directory "gitlab"')
    needs('gitlab_token', 'the user directory "gitlab"')
  }
  const shipped = join(home, 'definitions', 'events', `${data.event_rules}.yml`)
  const rules_file = /^[\w-]+$/.test(data.event_rules) ? shipped : resolve(data.event_rules)
  if (!existsSync(rules_file))
    problems.push(
      `TALLYMAN_EVENT_RULES: ${rules_file} does not exist; expected the name of a file in definitions/events or a path`,
    )

  return {
    ...data,
    user_directory,
    rules_file,
    data_dir: resolve(data.data_dir),
    listen: addressOf(data.listen, problems),
    metrics_dir:
      data.metrics_dir !== undefined && isAbsolute(data.metrics_dir)
        ? data.metrics_dir
        : resolve(data.metrics_dir ?? join(home, 'metrics')),
    schema_dir: join(home, 'definitions', 'schema'),
    lifetimes: { weekly: data.weekly_lifetime_days * DAY_SECONDS, monthly: data.monthly_lifetime_days * DAY_SECONDS },
  }
}

const addressOf = (listen: string, problems: string[]): { host: string; port: number } => {
  const [, host = '', port = ''] = /^(?:(.*):)?(\d+)$/.exec(listen) ?? []
  if (Number(port) > 65_535) problems.push(`TALLYMAN_LISTEN: ${port} is not a port, expected at most 65535`)
  return { host: host.replace(/^\[|\]$/g, '') || '127.0.0.1', port: Number(port) }
}

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: text })
    return true
  } catch {
    return false
  }
}
