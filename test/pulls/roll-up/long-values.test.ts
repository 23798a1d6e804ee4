import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { microsOf } from '../../../src/events/calendar.js'
import { foldPending } from '../../../src/pulls/fold-job/fold-pending.js'
import { WINDOWS } from '../../../src/pulls/model/join-windows.js'
import { LONGEST_VALUE } from '../../../src/pulls/model/dimensions.js'
import { parsePullsQuery } from '../../../src/pulls/query/parameters.js'
import { queryPulls } from '../../../src/pulls/query/query-pulls.js'
import { rollUp } from '../../../src/pulls/roll-up/roll-up.js'
import { summarizePulls } from '../../../src/pulls/roll-up/summarize.js'
import { longSummaryValues } from '../../../src/schema/migrations/0057-long-summary-values.js'
import { createCounting } from '../../servers/counting.js'
import { readByHost } from '../../servers/events.js'
import { digestOf, OCI_IMAGE, OCI_INDEX } from '../../servers/manifests.js'
import { noise } from '../../servers/noise.js'
import { keepOutcomes, OUTCOME } from '../../servers/outcomes.js'
import { whole } from '../../servers/side-fields.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const START = '2026-09-18T10:00:00Z'
const NOW = new Date('2026-10-03T12:00:00Z')
const LATENESS = 300_000_000

describe.each(STORE_PAIRS)('long texts of clients on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const summarize = async (): Promise<void> => {
    await rollUp({ database: stores.database, windows: WINDOWS })
    await summarizePulls(stores.database)
  }
  const summaries = async (dimension: string): Promise<unknown[]> => {
    const { rows } = await sql`
      select grain, value, invocations::int as invocations from pulls.summaries
      where dimension = ${dimension} order by grain, value, pulls.summaries.invocations
    `.execute(stores.database.sql)
    return rows
  }
  const platforms = async (): Promise<unknown> => {
    const query = parsePullsQuery({ measures: 'invocations', group_by: 'platform', period: '2026-09' }, NOW)
    return (await queryPulls(stores.database.sql, query, { rotation: 'never', stamps: {} })).rows
  }

  test('do not keep a day or a month from its summary, from the event to the summary', async () => {
    const platform = {
      os: noise(1_024, 'os'),
      architecture: noise(1_024, 'architecture'),
      variant: noise(1_024, 'variant'),
    }
    const references = [{ digest: digestOf('image'), mediaType: OCI_IMAGE, size: 20, platform }]
    const index = {
      repository: 'team/app',
      tag: '1',
      digest: digestOf('index'),
      mediaType: OCI_INDEX,
      size: 500,
      references,
    }
    const image = { ...(whole('push').target as object), digest: digestOf('image') }
    const request = {
      ...(whole('pull').request as object),
      useragent: `${noise(64, 'client')}/1 ${noise(900, 'agent')}`,
    }
    const events = [
      { ...whole('push'), target: index },
      { ...whole('push'), target: image },
      { ...whole('pull'), target: image, request },
    ].map((event, i) => ({ ...event, id: `00000000-0000-4000-8000-00000000000${i}`, timestamp: START }))
    const items = readByHost(JSON.stringify({ events }), microsOf(NOW))
    await createCounting(stores, () => NOW).ingest(items)
    for (const minutes of [1, 30]) {
      await foldPending({
        ...{ database: stores.database, windows: WINDOWS, lateness: LATENESS },
        now: () => new Date(NOW.getTime() + minutes * 60_000),
        onFolded: async () => Promise.resolve(),
      })
    }
    await sql`update pulls.registries set folded_to = ${NOW.toISOString()}::timestamptz`.execute(stores.database.sql)
    await summarize()
    expect(await summaries('platform')).toEqual([
      { grain: 'day', value: 'unknown', invocations: 1 },
      { grain: 'month', value: 'unknown', invocations: 1 },
    ])
  })

  test('that earlier versions stored are one group, unknown, in summaries and without them', async () => {
    const outcomes = ['a', 'b', 'c'].map((id, i) => ({
      ...{ ...OUTCOME, id, origin: id, platform: [noise(3_000, 'a'), noise(LONGEST_VALUE + 1, 'b'), 'linux/arm64'][i] },
      at: START,
    }))
    await keepOutcomes(stores.database, [
      ...outcomes,
      {
        ...OUTCOME,
        id: 'd',
        origin: 'd',
        platform: 'unknown',
        client: noise(3_000, 'client'),
        at: '2026-09-30T10:00:00Z',
      },
    ])
    await sql`insert into pulls.registries (registry, folded_to) values (${OUTCOME.registry}, '2026-10-03')`.execute(
      stores.database.sql,
    )
    const before = await platforms()
    await summarize()
    expect(await summaries('platform')).toEqual([
      { grain: 'day', value: 'linux/arm64', invocations: 1 },
      { grain: 'day', value: 'unknown', invocations: 1 },
      { grain: 'day', value: 'unknown', invocations: 2 },
      { grain: 'month', value: 'linux/arm64', invocations: 1 },
      { grain: 'month', value: 'unknown', invocations: 3 },
    ])
    expect(await summaries('client')).toContainEqual({ grain: 'month', value: 'unknown', invocations: 1 })
    expect(before).toEqual([
      { platform: 'unknown', invocations: 3 },
      { platform: 'linux/arm64', invocations: 1 },
    ])
    expect(await platforms()).toEqual(before)
  })

  test('of an earlier summary are summarized again', async () => {
    await keepOutcomes(stores.database, [{ ...OUTCOME, id: 'a', origin: 'a', platform: noise(1_000, 'a'), at: START }])
    await sql`insert into pulls.registries (registry, folded_to) values (${OUTCOME.registry}, '2026-10-03')`.execute(
      stores.database.sql,
    )
    await summarize()
    const whole = await summaries('platform')
    await sql`update pulls.summaries set value = ${noise(1_000, 'a')} where dimension = 'platform'`.execute(
      stores.database.sql,
    )
    await longSummaryValues.up(stores.database.sql)
    await summarizePulls(stores.database)
    expect(await summaries('platform')).toEqual(whole)
  })
})
