import { expect, test } from '@jest/globals'
import type { Digest } from '../../../src/events/reference.js'
import { createKnownContents } from '../../../src/inventory/reconcile/known-contents.js'
import { openEmbeddedStores } from '../../servers/stores.js'

test('a run remembers manifests by their entries: a few large ones replace many small ones', async () => {
  const { database, close } = await openEmbeddedStores()
  const contents = createKnownContents(database.sql, 'registry.example')
  const blob = { digest: `sha256:${'b'.repeat(64)}` as Digest, size: 1 }
  const digests = ['a', 'b', 'c'].map((letter) => `sha256:${letter.repeat(64)}` as Digest)
  for (const digest of digests) {
    const entries = Array.from({ length: 300_000 }, () => blob)
    contents.learn({ digest, mediaType: 'application/vnd.oci.image.manifest.v1+json', size: 1, contents: entries })
  }
  expect([...(await contents.of(digests)).keys()]).toEqual(digests.slice(1))
  await close()
})
