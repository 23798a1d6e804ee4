import type { RegistryRequest } from '../../events/registry-request.js'

type Ordered = Pick<RegistryRequest, 'at' | 'object' | 'method' | 'tag'> & { id: string }

/**
 * The order in which requests are folded: by time. Sources with a resolution of one second report many requests with equal times.
 * These are sorted as clients send them: HEAD before GET, a tag before digests, manifests before blobs. The id makes the order total.
 */
export const inOrder = (a: Ordered, b: Ordered): number =>
  a.at - b.at || rank(a) - rank(b) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

const rank = ({ object, method, tag }: Ordered): number =>
  object === 'manifest' ? rankOfManifest(tag !== undefined, method === 'HEAD') : RANK_OF_OTHERS

/** The position of a request for a manifest among requests of the same time. */
export const rankOfManifest = (isByTag: boolean, isHead: boolean): number => (isByTag ? 0 : 2) + (isHead ? 0 : 1)

/** The position of all requests that are not for a manifest. */
export const RANK_OF_OTHERS = 4
