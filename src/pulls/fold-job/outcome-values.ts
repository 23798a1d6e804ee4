import type { Name } from '../fold/contents.js'
import { platformPullsOf, type PullOutcome } from '../fold/outcome.js'
import type { Who } from '../requests/pending.js'

/** The columns with texts of a requester. */
export const WHO_TEXTS = [
  ...(['endpoint', 'source', 'client', 'client_version', 'kind', 'os', 'arch', 'country', 'network'] as const),
  'network_kind',
] as const

/** The columns of an outcome in the tables of outcomes, and then those of its requester, in the order in which rows are written. */
export const OUTCOME_COLUMNS = [
  ...['id', 'what', 'at', 'registry', 'repository', 'origin', 'tag', 'digest', 'bytes', 'by_tag', 'gets', 'layers'],
  ...['starts_session', 'shows_blobs', 'platform', 'platform_from', 'platform_pulls'],
  ...WHO_TEXTS,
  'signed_in',
]

/** The values of an outcome that only an invocation has. */
type InvocationValues = { byTag: boolean; gets: number; layers: number; startsSession: boolean; platformPulls: number }

const NONE: InvocationValues = { byTag: false, gets: 0, layers: 0, startsSession: false, platformPulls: 0 }

export const invocationValuesOf = <N extends Name>(outcome: PullOutcome<N>): InvocationValues => {
  if (outcome.what !== 'invocation') return NONE
  const { by, gets, layers, startsSession } = outcome
  return { byTag: by === 'tag', gets, layers, startsSession, platformPulls: platformPullsOf(outcome) }
}

/** The texts of a requester, in the order of WHO_TEXTS. */
export const textsOfWho = (who: Who): (string | null)[] => [
  who.endpoint,
  who.source,
  who.client,
  who.version ?? null,
  who.kind,
  who.os ?? null,
  who.arch ?? null,
  who.country ?? null,
  who.network ?? null,
  who.networkKind ?? null,
]
