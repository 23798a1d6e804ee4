import { LRUCache } from 'lru-cache'

/**
 * Creates a cache of the entries that were used last. The library allocates all places at once when their number is the limit,
 * which takes 10 ms for 100,000; limited by a size of one for each entry, the cache grows.
 * @param most entries
 * @param options `ttl` in milliseconds, and the clock that it is measured by
 */
export const createLruCache = <Value extends object | string | symbol | true>(
  most: number,
  options: { ttl?: number; perf?: { now: () => number }; ttlResolution?: number } = {},
): LRUCache<string, Value> => new LRUCache<string, Value>({ maxSize: most, sizeCalculation: () => 1, ...options })
