import type { RegistryRequest } from '../../events/registry-request.js'

type Ordered = Pick<RegistryRequest, 'at' | 'object' | 'method' | 'tag'> & { id: string }

/**
 * The order in which requests are folded: by time. Sources with a resolution of one second report many requests with equal times.
 * These are sorted as clients send them: HEAD before GET, a tag before digests, manifests before blobs. The id makes the order total.
 */
export const inOrder = (a: Ordered, b: Ordered): number =>
  a.at - b.at || rank(a) - rank(b) || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)

const rank = ({ object, method, tag }: Ordered): number => {
  if (object !== 'manifest') return 4
  return (tag === undefined ? 2 : 0) + (method === 'HEAD' ? 0 : 1)
}
