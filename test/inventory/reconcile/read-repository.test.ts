import { expect, test } from '@jest/globals'
import type { Digest } from '../../../src/events/reference.js'
import { walkRepository } from '../../../src/inventory/reconcile/read-repository.js'
import type { RegistryClient } from '../../../src/registries/client/registry-client.js'

const digestOf = (name: string): string => `sha256:${name.padStart(64, '0')}`
const ENTRIES = Array.from({ length: 50_000 }, () => ({ digest: digestOf('b') as Digest }))

test.each([
  [19, true],
  [20, false],
])('of a repository with %i manifests of 50,000 entries, all are read: %s', async (manifests, isRead) => {
  const client: RegistryClient = {
    catalog: async () => Promise.resolve({ names: [] }),
    tags: async () => Promise.resolve({ names: Array.from({ length: manifests }, (_, i) => String(i)) }),
    digestOf: async (_, tag) => Promise.resolve(digestOf(tag)),
    manifest: async (_, digest) => Promise.resolve({ digest, mediaType: 'image', size: 1, contents: ENTRIES }),
    blob: async () => Promise.resolve(undefined),
  }
  const walk = walkRepository(
    {
      client,
      pace: { send: async (question) => question() },
      contents: { of: async () => Promise.resolve(new Map()), learn: () => ({ kind: 'image', entries: [] }) },
      recorded: async () => Promise.resolve({ tags: new Map(), manifests: new Map(), blobs: new Map() }),
      blobChecks: 'none',
      reread: false,
    },
    'team/app',
    0,
  )
  if (isRead) expect((await walk).manifests.size).toBe(manifests)
  else await expect(walk).rejects.toThrow('more than 1,000,000 entries of manifests in team/app')
})
