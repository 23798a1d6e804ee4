import type { Micros } from '../../events/calendar.js'
import type { RegistryRequest } from '../../events/registry-request.js'
import type { ContentsOf } from './contents.js'
import type { OpenAside, OpenInvocation } from './open-invocation.js'
import type { PullOutcome, ChainKey } from './outcome.js'
import type { JoinWindows } from '../model/join-windows.js'

/** A request, and what the fold has to know of who made it. */
export type FoldRequest = Omit<RegistryRequest, 'id' | 'source' | 'requester'> & {
  id: string
  origin: string
  /** Whether its client is one of those that fetch each manifest twice. */
  fetchesTwice?: boolean
}

/** What one origin does in one repository, up to a moment. Plain data, so that it can be kept and gone on with. */
export type Chain = {
  key: ChainKey
  /** In the order in which they began. */
  open: OpenInvocation[]
  /** Artifact fetches that blobs may belong to yet, in the order in which they began. */
  artifacts: OpenAside[]
  /** The session of blobs that no manifest was requested for. */
  orphan?: OpenAside
  /** When it was last heard of. */
  lastAt?: Micros
  /** Whether no invocation has begun the session that goes on: requests of blobs alone are none. */
  awaitsSession: boolean
  /** The registry's names of requests that were folded lately, and when. */
  requests: [string, Micros][]
  /** Until when nothing of it ends, so that it need not be looked through for each request. */
  quietUntil: Micros
}

export type FoldDeps = {
  contentsOf: ContentsOf
  windows: JoinWindows
  emit: (outcome: PullOutcome) => void
  /** Is told how long after the one before it each request came that joined an invocation. */
  onJoin?: (after: Micros) => void
}

/** Invocations that stay open at a time; an origin that begins more ends the oldest early. */
export const MAX_OPEN = 2_000
/**
 * What the open invocations of a chain remember at most, as `weightOf` adds it up: 5,000 to 10,000 manifests. Each request is
 * compared with all of it, so a client that fetches ever more would take the time of all others. With more, the oldest
 * invocation ends early.
 */
export const MAX_WEIGHT = 100_000
/** Artifact fetches that stay open at a time: few blobs follow each. */
export const MAX_OPEN_ARTIFACTS = 100
/** No invocation takes manifests for longer, so that a day is over some time. */
export const MAX_INVOCATION: Micros = 3_600_000_000
/** No blob changes an invocation that began earlier, nor a session without a manifest: lazy snapshotters read for hours. */
const MAX_BLOBS: Micros = 6 * 3_600_000_000

/** How long after its first request a blob may change an outcome, in microseconds. */
export const longestBlobs = ({ blobs }: Pick<JoinWindows, 'blobs'>): Micros =>
  Math.max(MAX_BLOBS, MAX_INVOCATION + blobs)

/**
 * How long after its end a salt is needed, in microseconds: requests that belong together have one origin, also the blobs of a
 * pull that a lazy snapshotter reads for hours, however late they arrive.
 */
export const saltWindow = (windows: JoinWindows, lateness: Micros): Micros =>
  Math.max(windows.join, longestBlobs(windows)) + lateness

export const startChain = (key: ChainKey): Chain => ({
  key,
  open: [],
  artifacts: [],
  awaitsSession: true,
  requests: [],
  quietUntil: 0,
})

/** Whether it obtained what it asked for; 304 says that the client has it already. */
export const isGet = ({ method, status }: FoldRequest): boolean => method === 'GET' && status !== 304
