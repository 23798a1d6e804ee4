import type { Micros } from '../../events/calendar.js'
import type { RegistryRequest } from '../../events/registry-request.js'
import type { ContentsOf, Name } from './contents.js'
import type { OpenAside, OpenInvocation } from './open-invocation.js'
import type { PullOutcome, ChainKey } from './outcome.js'
import type { JoinWindows } from '../model/join-windows.js'

/** A request with its origin, as a source of requests hands it to the fold. */
export type FoldRequest = Omit<RegistryRequest, 'id' | 'source' | 'requester'> & {
  id: string
  origin: string
  /** Whether the client is known to fetch each manifest twice. */
  fetchesTwice?: boolean
}

/** What the fold reads of a request of one chain. */
export type ChainRequest<N extends Name = string> = Pick<
  FoldRequest,
  'at' | 'object' | 'method' | 'status' | 'mediaType' | 'bytes' | 'fetchesTwice'
> & { id: N; requestId?: N; tag?: N; digest?: N }

/**
 * The open outcomes of one origin in one repository: its invocations, artifact fetches and session without a manifest that later
 * requests may change. A row of `pulls.chains` contains one chain. It is plain data, so that it can be stored and continued.
 */
export type Chain<N extends Name = string> = {
  key: ChainKey
  /** Open invocations, in the order in which they began. */
  open: OpenInvocation<N>[]
  /** Artifact fetches that blobs may still belong to, in the order in which they began. */
  artifacts: OpenAside<N>[]
  /** The session of blobs without a request for a manifest. */
  orphan?: OpenAside<N>
  /** The time of the newest request. */
  lastAt?: Micros
  /** Whether the current session has no invocation yet: requests for blobs alone start none. */
  awaitsSession: boolean
  /** The registry's ids of HTTP requests that were folded recently, and when. */
  requests: [N, Micros][]
  /** Until when no outcome closes, so that not every request has to check all of them. */
  quietUntil: Micros
}

/** The outcomes of a chain that later requests may change. */
export const openOutcomesOf = <N extends Name>({
  open,
  artifacts,
  orphan,
}: Chain<N>): (OpenInvocation<N> | OpenAside<N>)[] => [...open, ...artifacts, ...(orphan ? [orphan] : [])]

export type FoldDeps<N extends Name = string> = {
  contentsOf: ContentsOf<N>
  /** Whether a tag is for referrers (see `isReferrerTag` of events). */
  isReferrerTag: (tag: N) => boolean
  windows: JoinWindows
  emit: (outcome: PullOutcome<N>) => void
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

export const startChain = <N extends Name = string>(key: ChainKey): Chain<N> => ({
  key,
  open: [],
  artifacts: [],
  awaitsSession: true,
  requests: [],
  quietUntil: 0,
})

/** Whether the request obtained its object; 304 means that the client has the object already. */
export const isGet = ({ method, status }: Pick<FoldRequest, 'method' | 'status'>): boolean =>
  method === 'GET' && status !== 304
