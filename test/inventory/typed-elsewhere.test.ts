import { describe, expect, test } from '@jest/globals'
import { blob, imageWithLayer, useAsking, type Wanted } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE, OCI_INDEX } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const JANUARY = '2026-01-10T10:00:00Z'
const LATELY = '2026-11-20T10:00:00Z'

const image = (name: string, more: Wanted): Wanted => imageWithLayer(name, { at: JANUARY, ...more })
/** What it is, its registry did not say: an index of a1 and a2, maybe. */
const INDEX: Wanted = { object: 'manifest', digest: digestOf('1d'), size: 400, tag: 'all', at: JANUARY }

describe.each(STORE_PAIRS)('a manifest that another registry calls an image, on %s', (_, open) => {
  const { asking } = useAsking(open, NOW)
  const expectNothingOffered = async (): Promise<void> => {
    for (const question of ['unused-images', 'last-used', 'untagged-manifests', 'orphaned-blobs']) {
      const parameters = question === 'orphaned-blobs' ? {} : { unused_for: '30d' }
      expect([question, await asking.items(question, parameters)]).toEqual([question, []])
    }
  }

  test.each(['before', 'after'])(
    'may be an index if its registry did not state the type, reported %s',
    async (when) => {
      const elsewhere = { registry: 'b.example', repository: 'other', tag: 'x', at: LATELY }
      const statement: Wanted = { ...INDEX, ...elsewhere, mediaType: OCI_IMAGE }
      if (when === 'before') await asking.ingest(statement)
      await asking.ingest(
        ...['ca1', 'ba1', 'ca2', 'ba2', 'b9'].map((name) => blob(name, { at: JANUARY })),
        image('a1', { tag: 'v1' }),
        image('a2', {}),
        INDEX,
        { ...INDEX, action: 'pull', at: LATELY },
      )
      await asking.summary()
      await expectNothingOffered()
      if (when === 'after') await asking.ingest(statement)
      await expectNothingOffered()
      await asking.summary()
      await expectNothingOffered()
    },
  )

  test('may be an index where the registry of the list did not say', async () => {
    const entry = { digest: digestOf('2d'), size: 10 }
    const list: Wanted = { ...INDEX, mediaType: OCI_INDEX, references: [entry] }
    await asking.ingest(image('a1', { tag: 'v1' }), image('a2', {}), list, { ...list, action: 'pull', at: LATELY })
    await asking.summary()
    await expectNothingOffered()
    const elsewhere = { registry: 'b.example', repository: 'other', tag: 'x', at: LATELY }
    await asking.ingest({ ...list, ...elsewhere, references: [{ ...entry, mediaType: OCI_IMAGE }] })
    await expectNothingOffered()
    await asking.summary()
    await expectNothingOffered()
  })

  test('is no reason to offer the tag of the list', async () => {
    const entry = { digest: digestOf('2d'), size: 10 }
    const list: Wanted = { ...INDEX, mediaType: OCI_INDEX, references: [entry] }
    const elsewhere = { registry: 'b.example', repository: 'other', tag: 'x', at: LATELY }
    const statement: Wanted = { ...list, ...elsewhere, references: [{ ...entry, mediaType: OCI_IMAGE }] }
    await asking.ingest(image('a1', {}), image('a1', { action: 'pull', at: LATELY }), list)
    const offered = async (): Promise<unknown> => asking.items('unused-images', { unused_for: '30d' })
    expect(await offered()).toEqual([])
    await asking.ingest(statement)
    expect(await offered()).toEqual([])
    await asking.summary()
    expect(await offered()).toEqual([])
  })
})
