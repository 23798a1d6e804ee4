import { z } from 'zod'
import { isTimeZone, MICROS_PER_SECOND } from '../events/calendar.js'
import { readYesOrNo } from '../runtime/yes-or-no.js'
import { ApiTokensError, readApiTokens } from '../tokens/api-tokens.js'
import { isCronExpression } from '../runtime/jobs.js'
import { nearestName } from '../runtime/nearest-name.js'
import { WINDOWS } from '../pulls/model/join-windows.js'
import { PREFIXES } from '../requesters/address.js'
import { NotificationTokensError, readNotificationTokens } from '../tokens/notification-tokens.js'
import { ROTATIONS } from '../requesters/salts.js'
import { databaseUrlProblem, redisUrlProblem, webUrlProblem, type UrlProblem } from './setting-urls.js'

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
const yesOrNo = z.preprocess((value) => readYesOrNo(value) ?? value, z.boolean('expected true or false'))
const wholeNumber = (least: number, most: number): z.ZodType<number> => {
  const expected = `expected a whole number from ${least} to ${most}`
  return z.coerce.number(expected).int(expected).min(least, expected).max(most, expected)
}
/** At most a hundred years: with more days, times could exceed the range of the stores. */
const days = wholeNumber(1, 36_500)
/** Bytes. Parsing a body of this size takes up to a gigabyte of heap, which the operator must provide (docs/operations.md). */
const LARGEST_BODY = 128 * 1024 * 1024
/**
 * Bytes. A registry accepts manifests of 4 MiB and repeats all their entries in a notification, indented. With the shortest
 * legal descriptors that is three times as large.
 */
const USUAL_BODY = 16 * 1024 * 1024

/** A text that must be a URL; the value is not changed. */
const urlWith = (problemOf: (text: string) => UrlProblem): z.ZodType<string> =>
  z.string().superRefine((text, context) => {
    const message = problemOf(text)
    if (message !== undefined) context.addIssue({ code: 'custom', message })
  })

/** A setting with tokens, which `read` parses. */
const tokens =
  <Token>(read: (value: unknown) => Token[]) =>
  (value: unknown, context: z.RefinementCtx): Token[] => {
    try {
      return read(value)
    } catch (error) {
      if (!(error instanceof NotificationTokensError) && !(error instanceof ApiTokensError)) throw error
      context.addIssue({ code: 'custom', message: error.message })
      return z.NEVER
    }
  }

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'] as const

/** All settings by their keys in tallyman.yml. In the environment, a key is TALLYMAN_<KEY>, or its name in ENVIRONMENT. */
const settings = z.strictObject({
  listen: z
    .string()
    .regex(/^(?:(?:\[[0-9a-f:]+\]|[^:[\]\s]+)?:)?\d{1,5}$/i, 'expected host:port, for example 127.0.0.1:3000')
    .default('127.0.0.1:3000'),
  data_dir: z.string().min(1).default('./data'),
  database_url: urlWith(databaseUrlProblem).optional(),
  redis_url: urlWith(redisUrlProblem).optional(),
  notification_tokens: z.unknown().transform(tokens(readNotificationTokens)).default([]),
  api_tokens: z.unknown().transform(tokens(readApiTokens)).default([]),
  user_directory: z.enum(['hash', 'file', 'gitlab'], 'expected hash, file or gitlab').optional(),
  users_file: z.string().min(1).optional(),
  users_key: z.string().min(16, 'expected at least 16 characters').optional(),
  gitlab_url: urlWith((text) => webUrlProblem(text, false)).optional(),
  gitlab_token: z.string().min(1).optional(),
  user_token_key: z.string().min(1).optional(),
  /** Checked together with registries_file, which may add registries: see config.ts. */
  registries: z.unknown().optional(),
  registries_file: z.string().min(1).optional(),
  /** Default for installations older than the setting: `host`. See registries/registry-identity.ts. */
  registry_identity: z.enum(['host', 'process'], 'expected host or process').optional(),
  docker_config: z.string().min(1).optional(),
  reconcile_cron: z
    .string()
    .refine(isCronExpression, 'expected a cron expression, for example "30 2 * * 0"')
    .optional(),
  reconcile_apply: yesOrNo.default(false),
  event_rules: z.string().min(1).default('registry'),
  clients_file: z.string().min(1).optional(),
  public_badges: list.default([]),
  country_file: z.string().min(1).optional(),
  network_file: z.string().min(1).optional(),
  pulls_salt_rotation: z.enum(ROTATIONS, `expected ${ROTATIONS.join(', ')}`).default('monthly'),
  pulls_ipv4_prefix: wholeNumber(8, 32).default(PREFIXES.ipv4),
  pulls_ipv6_prefix: wholeNumber(16, 128).default(PREFIXES.ipv6),
  pulls_join_window_seconds: wholeNumber(1, 3_600).default(WINDOWS.join / MICROS_PER_SECOND),
  pulls_blob_window_seconds: wholeNumber(1, 86_400).default(WINDOWS.blobs / MICROS_PER_SECOND),
  pulls_session_gap_seconds: wholeNumber(1, 86_400).default(WINDOWS.session / MICROS_PER_SECOND),
  pulls_least_pullers: wholeNumber(0, 1_000_000).default(0),
  pulls_request_days: days.default(7),
  pulls_detail_days: days.default(90),
  log_request_days: days.default(35),
  pulls_lateness_seconds: wholeNumber(1, 86_400).default(300),
  metrics_dir: z.string().min(1).optional(),
  metrics_public: yesOrNo.default(false),
  sql_route: yesOrNo.default(false),
  ping_enabled: yesOrNo.default(true),
  ping_url: urlWith((text) => webUrlProblem(text, true)).optional(),
  ping_cron: z.string().refine(isCronExpression, 'expected a cron expression, for example "44 10 * * 4"').optional(),
  ping_time_zone: z.string().refine(isTimeZone, 'expected an IANA time zone, for example Europe/Berlin').default('UTC'),
  ping_optional_metrics: yesOrNo.default(true),
  hostname: z.string().min(1).optional(),
  weekly_lifetime_days: days.default(42),
  monthly_lifetime_days: days.default(400),
  event_id_days: days.default(14),
  actor_days: days.default(400),
  rejected_event_days: days.default(30),
  largest_body_bytes: wholeNumber(1_024, LARGEST_BODY).default(USUAL_BODY),
  log_level: z.enum(LOG_LEVELS, `expected ${LOG_LEVELS.join(', ')}`).default('info'),
})

/** The values of all settings: given values, or defaults. */
export type SettingValues = z.output<typeof settings>

/** The keys of all settings. */
export const SETTINGS = Object.keys(settings.shape) as (keyof SettingValues)[]

/** An error of a key's value. The message does not quote the value, which may be a secret. */
export type SettingProblem = { key: string; message: string }

/** Reads settings from texts or YAML values. Returns all errors; an invalid setting has its default, so that the rest can be checked. */
export const readSettings = (
  values: Readonly<Record<string, unknown>>,
): { settings: SettingValues; wrong: SettingProblem[] } => {
  const unusable = Object.entries(values).filter(([, value]) => typeof value === 'string' && value.includes('\0'))
  const { success, data, error } = settings.safeParse(values)
  if (success && unusable.length === 0) return { settings: data, wrong: [] }
  const wrong = [
    ...unusable.map(([key]) => ({ key, message: 'has a NUL character; is the file that it comes from in UTF-16?' })),
    ...(error?.issues ?? []).flatMap(problemsIn).filter(({ key }) => !unusable.some(([its]) => its === key)),
  ]
  const right = Object.entries(values).filter(([key]) => !wrong.some((problem) => problem.key === key))
  return { settings: settings.parse(Object.fromEntries(right)), wrong }
}

const problemsIn = (issue: z.core.$ZodIssue): SettingProblem[] =>
  issue.code === 'unrecognized_keys'
    ? issue.keys.map((key) => ({ key, message: `is not a setting; ${remedyFor(key)}` }))
    : [{ key: String(issue.path[0]), message: issue.message }]

const MOST_CHANGES = 5

const remedyFor = (key: string): string => {
  const nearest = nearestName(key.toLowerCase().replaceAll('-', '_'), SETTINGS, MOST_CHANGES)
  return nearest === undefined ? 'docs/operations.md lists them' : `did you mean ${nearest}?`
}

/** Established names of variables. */
const ENVIRONMENT: Partial<Record<keyof SettingValues, string>> = {
  database_url: 'DATABASE_URL',
  redis_url: 'REDIS_URL',
}

/** The name of a setting's environment variable. */
export const environmentName = (key: string): string =>
  ENVIRONMENT[key as keyof typeof ENVIRONMENT] ?? `TALLYMAN_${key.toUpperCase()}`
