import type { PendingRequest } from '../requests/pending.js'
import { createByOrigin, type OriginKey } from './by-origin.js'
import type { StoredChain } from './chains.js'
import type { Chains } from './fold-batch.js'

/** Whose chains requests need that are not in memory yet. */
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

/** The chains in memory that requests may continue. */
export const chainsFor = (requests: readonly PendingRequest[], chains: Chains): StoredChain[] =>
  missingOrigins(requests, createByOrigin()).flatMap((key) => chains.get(key) ?? [])

/** The manifests that requests are for. */
export const requestedManifests = (requests: readonly PendingRequest[]): RequestedManifest[] =>
  requests.flatMap(({ object, repository, digest }) =>
    object === 'manifest' && digest !== undefined ? [{ repository, digest }] : [],
  )

/** The manifests that were requested by what is open. */
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
