import type { Micros } from '../../events/calendar.js'
import type { RegistryRequest } from '../../events/registry-request.js'

/** Who asks for what, as far as requests belong together. */
export type ChainKey = { registry: string; repository: string; origin: string }

/** One intent to obtain or to verify an image (docs/definitions-of-numbers.md, "Invocation"). */
export type Invocation = ChainKey & {
  what: 'invocation'
  /** The id of its first request. */
  id: string
  /** When it began: its first request. */
  at: Micros
  /** The last request for a manifest. */
  last: Micros
  by: 'tag' | 'digest'
  tag: string | undefined
  /** What it began with, or what its tag was answered with first. */
  digest: string | undefined
  /** Requests for manifests that were answered with one. */
  gets: number
  /** Different manifests of images that were fetched, in their order. */
  images: readonly string[]
  /** Different layers that were fetched. */
  layers: number
  /** Bytes of manifests and blobs, if the source reports them. */
  bytes: number
  /** Whether nothing was heard of this origin in this repository for the session gap before. */
  startsSession: boolean
}

/** What is counted apart from invocations. */
export type Aside = ChainKey & {
  /** `artifact`: a signature or the like was fetched; `orphan`: layers without a manifest; `failure`: a 4xx or 5xx. */
  what: 'artifact' | 'orphan' | 'failure'
  id: string
  at: Micros
  tag?: string
  digest?: string
  bytes: number
}

export type PullOutcome = Invocation | Aside

/** Adds the bytes of a request. What is beyond 2^53 is not counted: JavaScript would round it, and the order would matter. */
export const addBytes = (sum: number, bytes = 0): number => Math.min(Number.MAX_SAFE_INTEGER, sum + bytes)

export const asideOf = (
  key: ChainKey,
  what: Aside['what'],
  { id, at, tag, digest, bytes = 0 }: Pick<RegistryRequest, 'at' | 'tag' | 'digest' | 'bytes'> & { id: string },
): Aside => ({
  ...key,
  what,
  id,
  at,
  ...(tag !== undefined && { tag }),
  ...(digest !== undefined && { digest }),
  bytes,
})
