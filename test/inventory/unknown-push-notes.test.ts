import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { ask } from '../../src/inventory/questions/ask.js'
import { QUESTIONS } from '../../src/inventory/questions/questions.js'
import { createCounting } from '../servers/counting.js'
import { anEvent } from '../servers/events.js'
import { digestOf } from '../servers/history.js'
import { OCI_IMAGE } from '../servers/manifests.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const NOW = new Date('2026-11-27T12:00:00Z')
const REQUIRED: Record<string, object> = {
  'old-images': { older_than: '1d' },
  'unused-images': { unused_for: '1d' },
  'untagged-manifests': { unused_for: '1d' },
}
const WITH_IMAGES = QUESTIONS.filter(({ name, columns }) => 'pushed_at' in columns && !/blobs|untagged/.test(name))

describe.each(STORE_PAIRS)('answers with the time of a push, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
    const image = {
      object: 'manifest',
      mediaType: OCI_IMAGE,
      size: 20,
      at: '2026-11-01T10:00:00Z',
      tag: '1.0',
    } as const
    await createCounting(stores, () => NOW).ingest([
      anEvent({ ...image, id: 1, repository: 'team/pushed', digest: digestOf('a1') }),
      anEvent({ ...image, id: 2, repository: 'team/seen', digest: digestOf('a2'), action: 'pull', method: 'GET' }),
    ])
  })
  afterAll(async () => stores.close())

  test.each(WITH_IMAGES)('$name: a note says if no push is known', async (question) => {
    const notes = async (repository: string): Promise<string[]> => {
      const { items, notes = [] } = await ask(
        stores.database.sql,
        question,
        { ...REQUIRED[question.name], repository },
        NOW,
      )
      expect(items).toHaveLength(1)
      return notes
    }
    const note = expect.stringMatching(/^no push is known of some rows in this answer: pushed_at of these is when/)
    expect(await notes('team/seen')).toContainEqual(note)
    expect(await notes('team/pushed')).not.toContainEqual(note)
  })
})
