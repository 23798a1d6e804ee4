import { isFields } from '../events/json.js'
import { isHost } from '../events/registry-host.js'
import { isMissing } from '../events/side-fields.js'
import { FileError } from '../runtime/file-error.js'
import { readTextFile } from '../runtime/read-file.js'
import { readYesOrNo } from '../runtime/yes-or-no.js'
import type { Registry } from './registries.js'
import { UserError } from '../runtime/user-error.js'

/** All errors in the registries, one sentence each, with the registry and the key. Values that may be secret are not quoted. */
export class RegistriesError extends UserError {
  override readonly kind = 'setup'
  constructor(readonly problems: readonly string[]) {
    super(problems.join('; '))
  }
}

const MOST_REGISTRIES = 1_000
const KEYS = ['url', 'token_host', 'aliases', 'username', 'password', 'password_file', 'cache']

/**
 * Reads registries from a map by name. A value is a list of aliases, as in RegStat's file of equivalent registries, or a map with
 * `url`, `token_host`, `aliases`, `username`, `password` or `password_file`, and `cache`. Hosts are compared without case.
 * @param documents maps as parsed from YAML or JSON; each name may be in only one of them
 * @throws RegistriesError with all errors
 */
export const readRegistries = (documents: readonly unknown[]): Registry[] => {
  const problems: string[] = []
  const registries = documents.flatMap((document) => {
    if (isFields(document)) return Object.entries(document).map(([name, value]) => registryOf(name, value, problems))
    problems.push('expected a map of names of registries, each to its aliases or to url, aliases, username, password')
    return []
  })
  if (registries.length > MOST_REGISTRIES) problems.push(`has more than ${MOST_REGISTRIES} registries`)
  checkHosts(registries, problems)
  if (problems.length > 0) throw new RegistriesError(problems)
  return registries
}

const registryOf = (given: string, value: unknown, problems: string[]): Registry => {
  const name = given.toLowerCase()
  const report = (problem: string): void => void problems.push(`${given}: ${problem}`)
  if (!isHost(name)) report(`is not the host of a registry: ${HOSTS}`)
  const fields: Record<string, unknown> = isFields(value) ? value : { aliases: value }
  for (const key of Object.keys(fields)) if (!KEYS.includes(key)) report(`${key} is none of ${KEYS.join(', ')}`)
  const url = urlOf(fields.url, report)
  const tokenHost = tokenHostOf(fields, report)
  const username = textOf(fields, 'username', report)
  const password = passwordOf(fields, report)
  const cache = yesOrNo(fields.cache, report)
  if ((username === undefined) !== (password === undefined)) report('username and password go together')
  return {
    name,
    aliases: aliasesOf(fields.aliases, report),
    ...(url !== undefined && { url }),
    ...(tokenHost !== undefined && { tokenHost }),
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(cache !== undefined && { cache }),
  }
}

type Report = (problem: string) => void

const HOSTS = 'a host name, an IPv4 address or an IPv6 address in brackets, with a port or without'

const aliasesOf = (value: unknown, report: Report): string[] => {
  if (isMissing(value)) return []
  const list: unknown[] = Array.isArray(value) ? value : [value]
  const aliases = list.map((alias) => (typeof alias === 'string' ? alias.toLowerCase() : ''))
  const wrong = aliases.find((alias) => !isHost(alias))
  if (wrong !== undefined) report(`aliases: "${wrong.slice(0, 255)}" is not ${HOSTS}`)
  return aliases
}

const urlOf = (value: unknown, report: Report): string | undefined => {
  if (isMissing(value)) return undefined
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined
  if (
    url &&
    /^https?:$/.test(url.protocol) &&
    isHostOfUrl(url) &&
    !url.username &&
    !url.password &&
    !url.search &&
    !url.hash
  ) {
    return url.href.replace(/\/+$/, '')
  }
  report('url is an address like https://registry.example.com:5000, without user and password')
  return undefined
}

/** A trailing dot is allowed: it marks a fully qualified name, for which the resolver does not use its search list. */
const isHostOfUrl = ({ hostname, port }: URL): boolean =>
  isHost(hostname.replace(/\.$/, '') + (port === '' ? '' : `:${port}`))

const tokenHostOf = (fields: Record<string, unknown>, report: Report): string | undefined => {
  const host = textOf(fields, 'token_host', report)?.toLowerCase()
  if (host === undefined) return undefined
  if (!isHost(host) || !URL.canParse(`https://${host}`)) report(`token_host is ${HOSTS}`)
  if (isMissing(fields.url)) report('token_host needs url: without it, Tallyman sends no requests to the registry')
  return host
}

/** Bytes. */
const LARGEST_PASSWORD_FILE = 65_536

const passwordOf = (fields: Record<string, unknown>, report: Report): string | undefined => {
  const file = textOf(fields, 'password_file', report)
  if (file === undefined) return textOf(fields, 'password', report)
  try {
    return readTextFile(file, { bytes: LARGEST_PASSWORD_FILE }).trim()
  } catch (error) {
    if (!(error instanceof FileError)) throw error
    report(`password_file: ${error.message}`)
    return undefined
  }
}

const yesOrNo = (value: unknown, report: Report): boolean | undefined => {
  if (isMissing(value)) return undefined
  const known = readYesOrNo(value)
  if (known === undefined) report('cache is true or false')
  return known
}

const textOf = (fields: Record<string, unknown>, key: string, report: Report): string | undefined => {
  const value = fields[key]
  if (isMissing(value)) return undefined
  if (typeof value === 'string') return value
  report(`${key} is text`)
  return undefined
}

/** Each host must belong to one registry. Otherwise the registry of an event would be arbitrary. */
const checkHosts = (registries: readonly Registry[], problems: string[]): void => {
  const owners = new Map<string, string>()
  for (const { name } of registries) {
    if (owners.has(name)) problems.push(`${name}: is there twice`)
    owners.set(name, name)
  }
  for (const { name, aliases } of registries) {
    for (const alias of aliases) {
      const owner = owners.get(alias)
      if (owner !== undefined && owner !== name) {
        problems.push(
          `${alias}: is ${alias === owner ? 'a registry itself' : `an alias of ${owner}`} and an alias of ${name}`,
        )
      }
      owners.set(alias, owner ?? name)
    }
  }
}
