import type { Micros } from '../events/calendar.js'
import { LINES, timeIn, type LineKind, type LineValue } from './export-values.js'
import { UserError } from '../runtime/user-error.js'

/** An export cannot be imported. The message contains the line and the reason. */
export class ImportError extends UserError {
  override readonly kind = 'setup'
}

const VERSION = 1

type LineOf = { [kind in LineKind]: { kind: kind; value: LineValue<kind> } }

/** A line that contains counters. */
export type CounterLine = LineOf[LineKind]

/** The number of lines of each kind. */
export type LineCounts = Record<LineKind, number>

export const noLines = (): LineCounts => ({ sketch: 0, tally: 0, repository: 0, unresolved_user: 0 })

const lineOf = (kind: string, values: object): string => `${JSON.stringify({ kind, ...values })}\n`

/** The first line of an export: properties of the installation that was exported. */
export type ExportHeading = {
  /** Fingerprint of the users key. An installation with another key gives the same people other ids. */
  fingerprint: string
  /** How registries were identified: repositories are recorded by registry. */
  registryIdentity: 'host' | 'process'
}

export const headingLine = ({ fingerprint, registryIdentity }: ExportHeading): string =>
  lineOf('tallyman-counters', {
    version: VERSION,
    users_key_fingerprint: fingerprint,
    registry_identity: registryIdentity,
  })

export const counterLine = (kind: LineKind, value: object): string => lineOf(kind, value)

/** The last line. An export without it is incomplete. */
export const closingLine = (lines: LineCounts): string => lineOf('end', { lines })

/**
 * Checks the first line.
 * @returns how registries were identified; exports older than the setting lack the field and identify registries by host.
 * @throws ImportError
 */
export const checkHeading = (line: string, fingerprint: string | undefined): ExportHeading['registryIdentity'] => {
  const { kind, version, users_key_fingerprint, registry_identity = 'host' } = parseObject(line, 1)
  if (kind !== 'tallyman-counters') throw new ImportError('line 1: not an export of Tallyman')
  if (version !== VERSION) {
    throw new ImportError(`line 1: version ${shown(JSON.stringify(version))} is not known, expected ${VERSION}`)
  }
  if (fingerprint !== undefined && users_key_fingerprint !== fingerprint) {
    throw new ImportError(
      'line 1: these users were counted with another key, so everybody would count twice; ' +
        'copy users.key from the data directory of the export (or set TALLYMAN_USERS_KEY), or pass --other-users',
    )
  }
  if (registry_identity === 'host' || registry_identity === 'process') return registry_identity
  throw new ImportError(
    `line 1: registry_identity ${shown(JSON.stringify(registry_identity))} is not known, expected host or process`,
  )
}

/**
 * Reads any line but the first; the line `end` contains the number of lines of counters.
 * @param latest no export contains counts after this moment
 * @throws ImportError for a line that no export contains
 */
export const parseLine = (
  line: string,
  number: number,
  latest: Micros,
): CounterLine | { kind: 'end'; lines: unknown } => {
  const object = parseObject(line, number)
  const kind = object.kind
  if (kind === 'end') return { kind, lines: object.lines }
  if (typeof kind !== 'string' || !isLineKind(kind)) {
    throw new ImportError(`line ${number}: "${shown(kind)}" is an unknown kind; the export may be of a later version`)
  }
  const { data, error } = LINES[kind].safeParse(object)
  if (error) {
    const [{ path, message } = { path: [], message: 'is wrong' }] = error.issues
    throw new ImportError(`line ${number}: ${path.join('.')}: ${message}`)
  }
  const counted = { kind, value: data } as CounterLine
  const { field, begin } = timeIn(counted)
  if (begin <= latest) return counted
  throw new ImportError(`line ${number}: ${field}: is in the future; check the clock of this machine`)
}

/** A value of the export, shortened for a message. */
const shown = (value: unknown): string => {
  const text = String(value)
  return text.length <= LONGEST_SHOWN ? text : `${text.slice(0, LONGEST_SHOWN)}…`
}

const LONGEST_SHOWN = 80

const isLineKind = (kind: string): kind is LineKind => Object.hasOwn(LINES, kind)

const parseObject = (line: string, number: number): Record<string, unknown> => {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new ImportError(`line ${number}: not JSON; the export may be cut off`)
  }
  if (typeof value !== 'object' || value === null) throw new ImportError(`line ${number}: not a JSON object`)
  return value as Record<string, unknown>
}
