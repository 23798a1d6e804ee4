import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { Digest } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { summarizePulls } from '../../../src/pulls/roll-up/summarize.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import type { Database } from '../../../src/storage/sql/database.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { openEmbeddedStores } from '../../servers/stores.js'
import { longestTurn } from '../../servers/turns.js'

const REQUESTS = 20_000
const START = Date.parse('2026-11-18T00:00:00Z')
const NOW = new Date('2026-11-21T12:00:00Z')
/**
 * Milliseconds of processor time. A quiet machine needs 50 for the longest turn. Without turns between statements the fold takes
 * 3,200 in one turn, and the roll-up 1,250.
 */
const LIMIT_MS = 500
const LATENESS = 300_000_000

const digest = (name: string): Digest => `sha256:${name.padStart(64, '0')}` as Digest

/** Three days of checks and pulls in 50 repositories from 500 addresses. */
const backlog = (): RegistryEvent[] =>
  Array.from({ length: REQUESTS }, (_, i) => ({
    ...anEvent({
      id: i + 1,
      action: 'pull',
      at: new Date(START + i * 12_900).toISOString(),
      repository: `team/app-${(i * 7) % 50}`,
      method: i % 3 === 0 ? 'HEAD' : 'GET',
      object: 'manifest',
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      digest: digest(`a${i % 50}`),
      size: 500,
      ...(i % 3 < 2 && { tag: `1.${i % 5}` }),
    }),
    address: `192.0.${i % 2}.${(i * 11) % 250}`,
    userAgent: ['containerd/1.7.0', 'docker/27.0.1 os/linux arch/arm64', 'trivy/0.60.0'][i % 3] ?? '',
  }))

const countOf = async ({ sql: kysely }: Database, table: string): Promise<number> => {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from ${sql.table(table)}`.execute(kysely)
  return rows[0]?.count ?? NaN
}

describe('a job of the embedded database', () => {
  let stores: Awaited<ReturnType<typeof openEmbeddedStores>>
  beforeAll(async () => {
    stores = await openEmbeddedStores()
    const { ingest } = createCounting(stores, () => NOW)
    const events = backlog()
    for (let from = 0; from < events.length; from += 500) await ingest(events.slice(from, from + 500))
  })
  afterAll(async () => stores.close())

  test('lets requests in while it folds and rolls up a backlog', async () => {
    const { database } = stores
    const onFolded = async (): Promise<void> => Promise.resolve()
    const fold = async (): Promise<void> =>
      foldPending({ database, windows: WINDOWS, lateness: LATENESS, now: () => NOW, onFolded })
    expect(await longestTurn(fold)).toBeLessThan(LIMIT_MS)
    expect(await countOf(database, 'pulls.pending')).toBeLessThan(REQUESTS / 100)
    expect(await longestTurn(async () => rollUp({ database, windows: WINDOWS }))).toBeLessThan(LIMIT_MS)
    expect(await countOf(database, 'pulls.days')).toBeGreaterThan(0)
    expect(await longestTurn(async () => summarizePulls(database))).toBeLessThan(LIMIT_MS)
  })
})
