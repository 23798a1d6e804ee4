import type { PendingRequest } from '../requests/pending.js'
import { createByAsker, type Asker } from './by-asker.js'
import type { KeptChain } from './chains.js'
import type { Chains } from './fold-batch.js'

/** Whose chains requests need that are not in memory yet. */
export const askersOf = (requests: readonly PendingRequest[], chains: Chains): Asker[] => {
  const askers = createByAsker<Asker>()
  const add = (asker: Asker): void => {
    if (!chains.get(asker)) askers.set(asker, asker)
  }
  for (const request of requests) {
    add(request)
    const { repository, previous } = request
    if (previous !== undefined) add({ repository, origin: previous })
  }
  return askers.values()
}

/** A manifest, and the repository in which it was requested. */
export type RequestedManifest = { repository: string; digest: string }

/** The chains in memory that requests may continue. */
export const chainsOf = (requests: readonly PendingRequest[], chains: Chains): KeptChain[] =>
  askersOf(requests, createByAsker()).flatMap((asker) => chains.get(asker) ?? [])

/** The manifests that requests are for. */
export const askedIn = (requests: readonly PendingRequest[]): RequestedManifest[] =>
  requests.flatMap(({ object, repository, digest }) =>
    object === 'manifest' && digest !== undefined ? [{ repository, digest }] : [],
  )

/** The manifests that were requested by what is open. */
export const openIn = (chains: readonly KeptChain[]): RequestedManifest[] =>
  chains.flatMap(({ chain }) => {
    const { repository } = chain.place
    const digests = [
      ...chain.open.flatMap(({ digest, named, fetched }) => [
        ...(digest === undefined ? [] : [digest]),
        ...named,
        ...fetched,
      ]),
      ...chain.artifacts.flatMap(({ digest }) => digest ?? []),
    ]
    return digests.map((digest) => ({ repository, digest }))
  })
