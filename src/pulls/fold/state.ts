import type { Micros } from '../../events/calendar.js'
import type { RegistryRequest } from '../../events/registry-request.js'
import type { ContentsOf } from './contents.js'
import type { OpenAside, OpenInvocation } from './open-invocation.js'
import type { PullOutcome, ChainKey } from './outcome.js'
import type { JoinWindows } from '../model/join-windows.js'

/** A request with its origin, as the fold needs it. */
export type FoldRequest = Omit<RegistryRequest, 'id' | 'source' | 'requester'> & {
  id: string
  origin: string
  /** Whether the client is known to fetch each manifest twice. */
  fetchesTwice?: boolean
}

/**
 * The open outcomes of one origin in one repository: its invocations, artifact fetches and session without a manifest that later
 * requests may change. A row of `pulls.chains` contains one chain. It is plain data, so that it can be stored and continued.
 */
export type Chain = {
  key: ChainKey
  /** Open invocations, in the order in which they began. */
  open: OpenInvocation[]
  /** Artifact fetches that blobs may still belong to, in the order in which they began. */
  artifacts: OpenAside[]
  /** The session of blobs without a request for a manifest. */
  orphan?: OpenAside
  /** The time of the newest request. */
  lastAt?: Micros
  /** Whether the current session has no invocation yet: requests for blobs alone start none. */
  awaitsSession: boolean
  /** The registry's ids of HTTP requests that were folded recently, and when. */
  requests: [string, Micros][]
  /** Until when no outcome closes, so that not every request has to check all of them. */
  quietUntil: Micros
}

export type FoldDeps = {
  contentsOf: ContentsOf
  windows: JoinWindows
  emit: (outcome: PullOutcome) => void
  /** Called for each request that joined an invocation. @param after the time since the previous request for a manifest */
  onJoin?: (after: Micros) => void
}

/** Maximum number of open invocations. If an origin begins more, the oldest one closes early. */
export const MAX_OPEN = 2_000
/**
 * The maximum weight of the open invocations of a chain (see `weightOf`): 5,000 to 10,000 manifests. Each request is compared
 * with all of them, so a client that fetches ever more would slow down all others. Beyond it, the oldest invocation closes early.
 */
export const MAX_WEIGHT = 100_000
/** Maximum number of open artifact fetches: few blobs follow each. */
export const MAX_OPEN_ARTIFACTS = 100
/** An invocation takes manifests for at most so long, so that every day ends. */
export const MAX_INVOCATION: Micros = 3_600_000_000
/**
 * A blob changes neither an invocation nor a session without a manifest that began more than so long ago. It is hours, because
 * lazy snapshotters read for hours.
 */
const MAX_BLOBS: Micros = 6 * 3_600_000_000

/** How long after its first request a blob may change an outcome, in microseconds. */
export const longestBlobs = ({ blobs }: Pick<JoinWindows, 'blobs'>): Micros =>
  Math.max(MAX_BLOBS, MAX_INVOCATION + blobs)

/**
 * How long a salt is needed after its period, in microseconds. Requests that belong together need one origin, even the blobs
 * that a lazy snapshotter reads for hours and that arrive late.
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

/** Whether the request obtained its object; 304 means that the client has the object already. */
export const isGet = ({ method, status }: FoldRequest): boolean => method === 'GET' && status !== 304
