import { blobIn, remember, type OpenInvocation } from './open-invocation.js'
import { asideOf } from './outcome.js'
import { LONGEST, type Chain, type ChainNeeds, type Folded } from './state.js'

export const addBlob = (chain: Chain, request: Folded, { contentsOf, windows, emit }: ChainNeeds): void => {
  const { digest, at, bytes = 0 } = request
  if (digest === undefined) return
  let listed: OpenInvocation | undefined
  let missing: OpenInvocation | undefined
  let latest: OpenInvocation | undefined
  let isConfig = false
  for (const open of chain.open) {
    if (open.gets === 0 || at - open.last > windows.blobs) continue
    latest = open
    const blob = blobIn(open, digest, contentsOf)
    if (blob === undefined) continue
    isConfig = blob === 'config'
    listed = open
    // Several nodes behind one address fetch the same layers: each pull gets its own.
    if (!open.fetchedLayers.includes(digest)) missing ??= open
  }
  const open = missing ?? listed ?? latest
  if (!open) {
    orphaned(chain, request, emit)
    return
  }
  open.bytes += bytes
  if (isConfig) return
  open.fetchedLayers = remember(open.fetchedLayers, digest)
  open.layers = open.fetchedLayers.length
}

const orphaned = (chain: Chain, request: Folded, emit: ChainNeeds['emit']): void => {
  const { at, bytes = 0 } = request
  if (chain.orphan && at - chain.orphan.session.at <= LONGEST) {
    chain.orphan.last = at
    chain.orphan.session.bytes += bytes
    return
  }
  if (chain.orphan) emit(chain.orphan.session)
  chain.orphan = { session: asideOf(chain.place, 'orphan', request), last: at }
}
