import type { OpenSegment } from '../segments/segment-bytes.js'

/**
 * A division of the requests of a day into parts that are folded apart. All requests of an origin in a repository are in one part, and
 * so are those of its previous name.
 */
export type Partitions = {
  count: number
  hashOfRepository: (repository: string) => number
  hashOfOrigin: (origin: string) => number
  /** The part of two hashes. */
  partOf: (repository: number, origin: number) => number
}

/** Requests that are folded at once, about 60 bytes of memory each. */
const MOST_ROWS = 500_000

/** How the requests of a day are divided. Only the time and the memory of the fold depend on it. */
export type PartitionOptions = {
  mostRows?: number
  /** A number that clients cannot know, so that they cannot choose repositories that are all in one part. */
  seed: number
}

/** @param names origins with their previous names */
export const createPartitions = (
  rows: number,
  { mostRows = MOST_ROWS, seed }: PartitionOptions,
  names: OriginNames,
): Partitions => {
  const count = Math.max(1, Math.ceil(rows / mostRows))
  return {
    count,
    hashOfRepository: (repository) => hashOf(repository, seed),
    hashOfOrigin: (origin) => names.hashOf(origin),
    partOf: (repository, origin) => (mixed(repository ^ Math.imul(origin, 0x9e3779b1)) >>> 0) % count,
  }
}

/** The names of origins that may have two names on one day. */
export type OriginNames = {
  add: (segment: Pick<OpenSegment, 'requesters'>) => void
  /** An equal number for all names of an origin. Other origins may have the same number. */
  hashOf: (origin: string) => number
}

/** Twice as many as the origins that may change their names on a day without making most parts one. 16 MiB of memory. */
const BUCKETS = 2 ** 22

/** Remembers which names belong together in a fixed memory: by their hashes. */
export const createOriginNames = (seed: number): OriginNames => {
  /** The next bucket of each bucket, plus 1; 0 if it has none. Memory of zeros takes none before it is written. */
  let buckets: Int32Array | undefined
  const bucketOf = (origin: string): number => hashOf(origin, seed) & (BUCKETS - 1)
  const nextOf = (all: Int32Array, bucket: number): number => (all[bucket] ?? 0) - 1
  const rootOf = (all: Int32Array, bucket: number): number => {
    let root = bucket
    for (let next = nextOf(all, root); next >= 0; next = nextOf(all, root)) {
      const after = nextOf(all, next)
      if (after < 0) return next
      all[root] = after + 1
      root = after
    }
    return root
  }
  return {
    add: ({ requesters }) => {
      for (const { origin, previous } of requesters) {
        if (previous === undefined) continue
        buckets ??= new Int32Array(BUCKETS)
        const [from, to] = [rootOf(buckets, bucketOf(previous)), rootOf(buckets, bucketOf(origin))]
        if (from !== to) buckets[from] = to + 1
      }
    },
    hashOf: (origin) => (buckets ? rootOf(buckets, bucketOf(origin)) : hashOf(origin, seed)),
  }
}

/** FNV-1a over the units of a text, with another beginning. */
const hashOf = (text: string, seed: number): number => {
  let hash = seed | 0
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return mixed(hash)
}

/** The last step of MurmurHash3_x86_32 (Austin Appleby, public domain). */
const mixed = (number: number): number => {
  let hash = number
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
