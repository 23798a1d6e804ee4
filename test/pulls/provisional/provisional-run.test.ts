import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { Digest } from '../../../src/events/reference.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { createProvisionalFold } from '../../../src/pulls/provisional/fold-provisional.js'
import { clearProvisional, lockRun, releaseRun, takeRun } from '../../../src/pulls/provisional/provisional-run.js'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryPulls } from '../../../src/pulls/query/query-pulls.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const START = Date.parse('2026-11-18T12:00:00Z')
const WAITING = /^Requests since 2026-11-18 12:0\d:\d\d \(UTC\) are pending/

const ask = (id: number, second: number, method = 'GET', tag = 'latest'): RegistryEvent => ({
  ...anEvent({ id, action: 'pull', at: new Date(START + second * 1_000).toISOString(), method, tag }),
  object: 'manifest',
  digest: `sha256:${'a'.repeat(64)}` as Digest,
  address: '192.0.2.1',
})

describe.each(STORE_PAIRS)('the run that shows provisional pulls, on %s', (_, open) => {
  let stores: TestStores
  let clock = 0
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    clock = 600
  })

  const foldBy = (holder: string): (() => Promise<void>) =>
    createProvisionalFold({
      database: stores.database,
      windows: WINDOWS,
      now: () => new Date(START + clock * 1_000),
      holder,
    })
  const shown = async (): Promise<{ pulls: number | undefined; checks: number | undefined; isWaiting: boolean }> => {
    const query = parsePullsQuery(
      { measures: 'pulls,checks', since: '2026-11-18', until: '2026-11-18' },
      new Date(START + 600_000),
    )
    const { total, notes } = await queryPulls(stores.database.sql, query, { rotation: 'never', stamps: {} })
    return { pulls: total.pulls, checks: total.checks, isWaiting: notes.some((note) => WAITING.test(note)) }
  }
  const expireLease = async (): Promise<void> => {
    await sql`update provisional.run set until = now() - interval '1 second'`.execute(stores.database.jobs)
  }

  test('reports pending requests while a process that takes over has not shown them yet', async () => {
    await createCounting(stores).ingest([ask(1, 0), ask(2, 100)])
    await foldBy('one')()
    expect(await shown()).toMatchObject({ pulls: 2, isWaiting: false })
    await expireLease()
    await takeRun(stores.database.jobs, 'two')
    await stores.database.jobs.transaction().execute(clearProvisional)
    expect(await shown()).toMatchObject({ pulls: 0, isWaiting: true })
    await foldBy('two')()
    expect(await shown()).toMatchObject({ pulls: 2, isWaiting: false })
  })

  test('stays with a process that takes longer than the lease', async () => {
    const { jobs } = stores.database
    const run = await takeRun(jobs, 'one')
    if (!run) throw new Error('the run was not taken')
    await expireLease()
    expect(await jobs.transaction().execute(async (tx) => lockRun(tx, run))).toBe(true)
    expect(await takeRun(jobs, 'two')).toBeUndefined()
    await expireLease()
    expect(await takeRun(jobs, 'two')).toBeDefined()
    expect(await jobs.transaction().execute(async (tx) => lockRun(tx, run))).toBe(false)
  })

  test('is taken from a process that took it while the clock was ahead, and ended', async () => {
    const { jobs } = stores.database
    await takeRun(jobs, 'one')
    await sql`update provisional.run set until = now() + interval '2 hours'`.execute(jobs)
    expect(await takeRun(jobs, 'two')).toBeDefined()
  })

  test('continues at once in another process if the first one ends', async () => {
    const { ingest } = createCounting(stores)
    await ingest([ask(1, 0)])
    await foldBy('one')()
    await ingest([ask(2, 100)])
    await releaseRun(stores.database.jobs, 'one')
    await foldBy('two')()
    expect(await shown()).toMatchObject({ pulls: 2 })
  })

  test('folds no request twice if the clock is set back', async () => {
    const { ingest } = createCounting(stores)
    const fold = foldBy('one')
    await ingest([ask(1, 495, 'HEAD'), ask(2, 540)])
    await fold()
    clock = 500
    await ingest([ask(3, 100, 'HEAD', 'other')])
    await fold()
    clock = 600
    await fold()
    expect(await shown()).toMatchObject({ pulls: 1, checks: 1 })
  })

  test('restarts if the snapshot is of another database, for example of a restored dump', async () => {
    const { ingest } = createCounting(stores)
    const fold = foldBy('one')
    await ingest([ask(1, 0)])
    await fold()
    await sql`update provisional.run set snapshot = '9000000000:9000000000:'`.execute(stores.database.jobs)
    await ingest([ask(2, 100)])
    expect(await shown()).toMatchObject({ isWaiting: true })
    await fold()
    expect(await shown()).toMatchObject({ pulls: 2, isWaiting: false })
    await ingest([ask(3, 200)])
    await fold()
    expect(await shown()).toMatchObject({ pulls: 3 })
  })
})
