import { describe, expect, test } from '@jest/globals'
import type { Descriptor } from '../../src/events/descriptor.js'
import { OCI_LAYER, useAsking } from '../servers/asking.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE } from '../servers/manifests.js'
import { STORE_PAIRS } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
/** The largest size that installations may have stored. */
const HUGE = Number.MAX_SAFE_INTEGER
const layers = (count: number): Descriptor[] =>
  Array.from({ length: count }, (_one, i) => ({ digest: digestOf(`b${i}`), mediaType: OCI_LAYER, size: HUGE }))

describe.each(STORE_PAIRS)('stored sizes that exceed 2^63 together, on %s', (_, open) => {
  const { asking } = useAsking(open, NOW)

  test('leave the summary and the images of all registries', async () => {
    const image = { object: 'manifest', mediaType: OCI_IMAGE, size: 500, tag: '1', references: layers(1_100) } as const
    await asking.ingest(
      { ...image, registry: 'hostile.example', repository: 'one', digest: digestOf('a1') },
      { ...image, registry: 'hostile.example', repository: 'two', digest: digestOf('a1') },
      { ...image, digest: digestOf('a2'), references: [{ digest: digestOf('c1'), mediaType: OCI_LAYER, size: 7 }] },
    )
    await asking.summary()
    const repositories = await asking.items('repositories')
    expect(repositories.map(({ repository, bytes }) => [repository, Number(bytes) > 1e18])).toEqual([
      ['one', true],
      ['two', true],
      ['team/app', false],
    ])
    expect(Number((await asking.items('totals'))[0]?.bytes)).toBeGreaterThan(1e18)
    expect((await asking.items('images')).map(({ size }) => Number(size) > 1e18)).toEqual([true, true, false])
    expect((await asking.items('images')).map(({ size }) => size)).toContain(507)
  })

  test('leave the pages of the largest repositories', async () => {
    const huge = { object: 'manifest', mediaType: OCI_IMAGE, size: 500, tag: '1' } as const
    const repositories = ['one', 'two', 'three']
    for (const [i, repository] of repositories.entries()) {
      const last = { digest: digestOf(`d${i}`), mediaType: OCI_LAYER, size: HUGE - 4 * i }
      const first = { digest: digestOf(`e${i}`), mediaType: OCI_LAYER, size: HUGE }
      await asking.ingest({ ...huge, repository, digest: digestOf(`a${i}`), references: [first, last] })
    }
    await asking.summary()
    const found: unknown[] = []
    let cursor: string | undefined
    do {
      const { items, next } = await asking.answer('largest-repositories', { limit: '1', ...(cursor && { cursor }) })
      found.push(...items.map(({ repository }) => repository))
      cursor = next ?? undefined
    } while (cursor !== undefined && found.length < 10)
    expect(found).toEqual(repositories)
  })

  test('leave the summary if no manifest has them', async () => {
    const pushed = layers(1_100).map(({ digest }) => ({
      object: 'blob' as const,
      digest,
      size: HUGE,
      at: '2026-11-20T00:00:00Z',
    }))
    await asking.ingest(...pushed)
    await asking.summary()
    const [totals] = await asking.items('totals')
    expect(totals).toMatchObject({ orphaned_blobs: 1_100 })
    expect(Number(totals?.orphaned_bytes)).toBeGreaterThan(1e18)
  })
})
