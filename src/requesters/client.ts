import { DefinitionError, type ReadDefinition } from '../definitions/definition-file.js'
import type { ClientKind } from '../events/client-kinds.js'
import { NotBounded } from './pattern-cost/positions.js'
import { stepsOf } from './pattern-cost/steps.js'

/** The properties of a client according to its user agent, which a client can choose freely. */
type Client = {
  client: string
  /** `unknown` if no rule matches. */
  kind: ClientKind | 'unknown'
  version?: string
  /** The system of the machine that pulls, with the names of Go: linux, windows, darwin; amd64, arm64. */
  os?: string
  arch?: string
  kernel?: string
  /** The program that asked the daemon to pull, and the system on which that program ran. */
  upstream?: string
  upstream_version?: string
  host_os?: string
  /** Whether the client fetches each manifest twice for one pull. */
  fetches_twice?: boolean
}

type Rule = {
  client: string
  kind: ClientKind
  pattern: string
  version?: string
  with?: string[]
  fetches_twice?: boolean
}
type Compiled = Omit<Rule, 'pattern' | 'with'> & { pattern: RegExp; with: RegExp[] }

/**
 * The number of characters of a user agent that are read: patterns take longer for a longer text, and no real client needs more.
 */
export const LONGEST_AGENT = 512
/** The largest number of characters that are stored of each part. */
const LONGEST_PART = 64

export type ClientOf = (userAgent: string) => Client

/**
 * The largest number of steps of one pattern, and of all patterns in a file, for the slowest user agent: about 1 ms and 10 ms.
 */
export const MOST_STEPS = 1_000_000
const MOST_STEPS_OF_ALL = 10_000_000
const REMEDY =
  'begin it with ^ and a literal, do not repeat a part that repeats already, and do not put two repetitions that match the same characters next to each other'

/**
 * Reads rules for user agents.
 * @param files the rules of the first file come first. The last file contains Tallyman's own rules, whose speed is tested and not
 * computed here
 * @throws DefinitionError that names the file and the key, also for a pattern that takes too long for some user agent: clients
 * can send any user agent
 */
export const loadClients = (files: readonly string[], read: ReadDefinition): ClientOf => {
  const rules = files.flatMap((file, i) => {
    const { clients } = read(file, 'clients') as { clients: Rule[] }
    const compiled = clients.map((rule, i) => compile(rule, file, `clients[${i}]`))
    if (i < files.length - 1) refuseSlow(compiled, file)
    return compiled
  })
  return (userAgent) => clientBy(rules, userAgent)
}

const refuseSlow = (rules: readonly Compiled[], file: string): void => {
  let all = 0
  rules.forEach(({ pattern, with: others }, i) => {
    all += stepsIn(pattern, file, `clients[${i}].pattern`)
    others.forEach((other, j) => (all += stepsIn(other, file, `clients[${i}].with[${j}]`)))
  })
  if (all > MOST_STEPS_OF_ALL)
    throw new DefinitionError(file, [
      `clients may take ${all} steps together, expected at most ${MOST_STEPS_OF_ALL}; remove some patterns, or begin more of them with ^ and a literal`,
    ])
}

const stepsIn = ({ source }: RegExp, file: string, key: string): number => {
  try {
    const steps = stepsOf(source, LONGEST_AGENT, MOST_STEPS)
    if (steps < MOST_STEPS) return steps
    throw new NotBounded(`may take more than ${MOST_STEPS} steps on an agent of ${LONGEST_AGENT} characters`)
  } catch (error) {
    if (error instanceof NotBounded) throw new DefinitionError(file, [`${key} ${error.message}; ${REMEDY}`])
    throw error
  }
}

const compile = (rule: Rule, file: string, key: string): Compiled => {
  const pattern = compilePattern(rule.pattern, file, `${key}.pattern`)
  const others = (rule.with ?? []).map((one, i) => compilePattern(one, file, `${key}.with[${i}]`))
  return { ...rule, pattern, with: others }
}

const GROUPS: ReadonlySet<string> = new Set([
  ...['version', 'os', 'arch', 'kernel', 'upstream', 'upstream_version', 'host_os'],
])

const compilePattern = (pattern: string, file: string, key: string): RegExp => {
  for (const [, group = ''] of pattern.matchAll(/\(\?<([A-Za-z_]\w*)>/g)) {
    if (!GROUPS.has(group))
      throw new DefinitionError(file, [`${key} has a group ${group}, expected ${[...GROUPS].join(', ')}`])
  }
  try {
    return new RegExp(pattern)
  } catch (error) {
    throw new DefinitionError(file, [`${key} is not a regular expression: ${(error as Error).message}`])
  }
}

const clientBy = (rules: readonly Compiled[], userAgent: string): Client => {
  const agent = readable(userAgent)
  for (const { client, kind, version, pattern, with: others, fetches_twice } of rules) {
    const found = pattern.exec(agent)
    if (!found) continue
    const known: Client = {
      client,
      kind,
      ...(version !== undefined && { version }),
      ...(fetches_twice !== undefined && { fetches_twice }),
    }
    keep(known, found.groups)
    for (const other of others) keep(known, other.exec(agent)?.groups)
    return known
  }
  return unknown(agent)
}

/**
 * Shortens a user agent, and removes control characters and the backslashes that Docker puts before brackets (a log may contain
 * such a backslash as \x5C).
 */
const readable = (userAgent: string): string => {
  const cut = userAgent.length > LONGEST_AGENT ? userAgent.slice(0, LONGEST_AGENT) : userAgent
  const escaped = cut.includes('\\') ? cut.replace(/\\x5c/gi, '\\').replace(/\\(.)/g, '$1') : cut
  // eslint-disable-next-line no-control-regex
  return /[\0-\x1f\x7f-\x9f]/.test(escaped) ? escaped.replace(/[\0-\x1f\x7f-\x9f]+/g, ' ').trim() : escaped
}

const keep = (client: Client, groups: Record<string, string | undefined> | undefined): void => {
  for (const name in groups) {
    const value = groups[name]
    if (value === undefined) continue
    const same = name === 'os' || name === 'arch' || name === 'host_os' ? asGo(value) : value
    client[name as Exclude<keyof Client, 'kind' | 'fetches_twice'>] = same.slice(0, LONGEST_PART)
  }
}

/**
 * Converts the name of a system or an architecture to Go's name, as platforms of images contain it (image-spec 1.1, "Image
 * Index").
 */
const asGo = (name: string): string => {
  const lower = name.toLowerCase()
  return GO_NAMES.get(lower) ?? lower
}

const GO_NAMES: ReadonlyMap<string, string> = new Map([
  ['x86_64', 'amd64'],
  ['aarch64', 'arm64'],
  ['armv7l', 'arm'],
  ['i386', '386'],
  ['i686', '386'],
  ['macintosh', 'darwin'],
  ['mac os x', 'darwin'],
  ['macos', 'darwin'],
])

/** The client of a user agent that no rule matches: its product token (RFC 9110, section 10.1.5) and version. */
const unknown = (agent: string): Client => {
  const [, product = '', version] = /^\s*([^\s/()]+)(?:\/v?([^\s()]+))?/.exec(agent) ?? []
  if (product === '') return { client: 'unknown', kind: 'unknown' }
  return {
    client: product.slice(0, LONGEST_PART),
    kind: 'unknown',
    ...(version !== undefined && { version: version.slice(0, LONGEST_PART) }),
  }
}
