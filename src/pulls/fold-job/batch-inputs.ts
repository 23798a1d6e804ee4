import type { PendingRequest } from '../requests/pending.js'
import { createByOrigin, type OriginKey } from './by-origin.js'
import type { StoredChain } from './chains.js'
import type { Chains } from './fold-batch.js'

/** The keys of the chains that requests may continue and that are not in memory yet. */
export const missingOrigins = (requests: readonly PendingRequest[], chains: Chains): OriginKey[] => {
  const origins = createByOrigin<OriginKey>()
  const add = (key: OriginKey): void => {
    if (!chains.get(key)) origins.set(key, key)
  }
  for (const request of requests) {
    add(request)
    const { repository, previous } = request
    if (previous !== undefined) add({ repository, origin: previous })
  }
  return origins.values()
}

/** A manifest, and the repository in which it was requested. */
export type RequestedManifest = { repository: string; digest: string }

/** The chains in memory that the requests may continue. */
export const chainsFor = (requests: readonly PendingRequest[], chains: Chains): StoredChain[] =>
  missingOrigins(requests, createByOrigin()).flatMap((key) => chains.get(key) ?? [])

/** The manifests that are requested by digest, or whose tags resolved to one. */
export const requestedManifests = (requests: readonly PendingRequest[]): RequestedManifest[] =>
  requests.flatMap(({ object, repository, digest }) =>
    object === 'manifest' && digest !== undefined ? [{ repository, digest }] : [],
  )

/** The manifests of open invocations and open artifact fetches. */
export const openManifests = (chains: readonly StoredChain[]): RequestedManifest[] =>
  chains.flatMap(({ chain }) => {
    const { repository } = chain.key
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
