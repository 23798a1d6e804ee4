import type { Micros } from '../../events/calendar.js'
import type { Name } from './contents.js'

/** Requests can only belong together if they have the same key: one origin in one repository. */
export type ChainKey = { registry: string; repository: string; origin: string }

/** One intent to obtain or to verify an image (docs/definitions-of-numbers.md, "Invocation"). */
export type Invocation<N extends Name = string> = ChainKey & {
  what: 'invocation'
  /** The id of its first request. */
  id: N
  /** The time of its first request. */
  at: Micros
  /** The time of the last request for a manifest. */
  last: Micros
  by: 'tag' | 'digest'
  tag: N | undefined
  /** The digest that was requested first, or that the tag resolved to first. */
  digest: N | undefined
  /** Number of GETs that were answered with a manifest. */
  gets: number
  /** Different manifests of images that were fetched, in their order. */
  images: readonly N[]
  /** Different layers that were fetched. */
  layers: number
  /** Bytes of manifests and blobs, if the source reports them. */
  bytes: number
  /** Whether this origin made no request in this repository for the session gap before the invocation. */
  startsSession: boolean
}

/** An outcome that is counted apart from invocations. */
export type Aside<N extends Name = string> = ChainKey & {
  /** `artifact`: a signature or the like was fetched; `orphan`: layers without a manifest; `failure`: a 4xx or 5xx. */
  what: 'artifact' | 'orphan' | 'failure'
  id: N
  at: Micros
  tag?: N
  digest?: N
  bytes: number
}

export type PullOutcome<N extends Name = string> = Invocation<N> | Aside<N>

/** Adds the bytes of a request, up to 2^53 - 1. Beyond that JavaScript rounds, and the sum would depend on the order. */
export const addBytes = (sum: number, bytes = 0): number => Math.min(Number.MAX_SAFE_INTEGER, sum + bytes)

export const asideOf = <N extends Name>(
  key: ChainKey,
  what: Aside['what'],
  { id, at, tag, digest, bytes = 0 }: { id: N; at: Micros; tag?: N; digest?: N; bytes?: number },
): Aside<N> => ({
  ...key,
  what,
  id,
  at,
  ...(tag !== undefined && { tag }),
  ...(digest !== undefined && { digest }),
  bytes,
})

/** One for each image that was fetched; one for a pull of unknown contents. */
export const platformPullsOf = <N extends Name>({ gets, images }: Pick<Invocation<N>, 'gets' | 'images'>): number =>
  gets > 0 ? Math.max(1, images.length) : 0
