import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { sql, type RawBuilder } from 'kysely'
import { readConfig } from '../../../src/config/config.js'
import { createCore, type Core } from '../../../src/service/core.js'
import type { RegistryEvent } from '../../../src/events/registry-event.js'
import { openPulls, type Pulls } from '../../../src/service/open-pulls.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { ROOT } from '../../servers/service.js'
import { embeddedFolder, STORE_PAIRS, type TestStores } from '../../servers/stores.js'

let now = new Date(0)
let folder: ReturnType<typeof embeddedFolder>
let core: Core

beforeAll(async () => {
  folder = embeddedFolder()
  const settings = { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_PULLS_DETAIL_DAYS: '1' }
  core = await createCore(readConfig(settings, ROOT), () => now)
})
afterAll(async () => {
  await core.stores.close()
  folder.remove()
})

const pull = (at: string): RegistryEvent =>
  anEvent({
    ...{
      id: Date.parse(at) / 1_000,
      action: 'pull',
      at: new Date(at).toISOString(),
      repository: 'a',
      method: 'GET',
      object: 'manifest',
      tag: 'latest',
    },
    ...{ mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: `sha256:${'a'.repeat(64)}` },
    address: '192.0.2.1',
  })

describe.each(STORE_PAIRS)('the pulls of a registry that falls silent, on %s', (_, open) => {
  let stores: TestStores
  let pulls: Pulls
  beforeAll(async () => {
    stores = await open()
    pulls = await openPulls(core, stores.database)
  })
  afterAll(async () => stores.close())
  beforeEach(async () => stores.clear())

  const deliver = async (time: string, requests: readonly string[]): Promise<void> => {
    now = new Date(time)
    await createCounting(stores, () => now).ingest(requests.map(pull))
    await pulls.fold()
  }
  /** Runs each job once, in the order in which they are due. */
  const runJobs = async (time: string, { fold, rollUp, forget } = pulls): Promise<void> => {
    now = new Date(time)
    for (const job of [fold, rollUp, forget]) await job()
  }
  const timesIn = async (table: RawBuilder<unknown>): Promise<string[]> => {
    const { rows } = await sql<{ at: string }>`
      select to_char(at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') as at from ${table} order by at
    `.execute(stores.database.sql)
    return rows.map(({ at }) => at)
  }
  const lateTimes = async (): Promise<string[]> => timesIn(sql`(select at from pulls.requests where is_late) late`)
  /** Rows of tables that contain origins, and invocations of days. */
  const kept = async (): Promise<unknown> => {
    const { rows } = await sql`
      select (select count(*) from pulls.outcomes)::int as outcomes, (select count(*) from pulls.chains)::int as chains,
        (select count(*) from pulls.behaviours)::int as behaviours, (select sum(invocations) from pulls.days)::int as counted
    `.execute(stores.database.sql)
    return rows[0]
  }

  test('are deleted when single invocations are, and stay in the numbers of days', async () => {
    const requests = ['25', '26', '27', '28', '29', '30'].map((day) => `2026-01-${day}T12:00Z`)
    await deliver('2026-11-18T12:00Z', requests)
    await runJobs('2026-11-18T12:10Z')
    expect(await kept()).toMatchObject({ outcomes: 1, chains: 1, counted: 5 })
    // A registry that delivers a backlog may pause for some hours.
    await runJobs('2026-11-18T23:50Z')
    expect(await kept()).toMatchObject({ outcomes: 1, chains: 1, counted: 5 })
    await runJobs('2026-11-19T00:20Z')
    expect(await kept()).toEqual({ outcomes: 0, chains: 0, behaviours: 0, counted: 6 })
    await deliver('2026-11-19T12:00Z', ['2026-11-19T11:50Z'])
    await runJobs('2026-11-19T12:10Z')
    expect(await timesIn(sql`pulls.outcomes`)).toEqual(['2026-11-19T11:50Z'])
  })

  test('have no readings of behaviour for more than two weeks', async () => {
    await deliver(
      '2026-11-18T12:00Z',
      Array.from({ length: 20 }, (_one, i) => `2026-11-18T0${Math.floor(i / 4)}:${10 + (i % 4) * 10}Z`),
    )
    await runJobs('2026-11-20T00:10Z')
    expect(await kept()).toEqual({ outcomes: 0, chains: 0, behaviours: 1, counted: 20 })
    await runJobs('2026-12-03T00:10Z')
    expect(await kept()).toEqual({ outcomes: 0, chains: 0, behaviours: 0, counted: 20 })
  })

  const cutOff = async (jobs?: Pulls): Promise<void> => {
    await deliver('2026-11-18T12:00Z', ['2026-11-18T11:00Z'])
    for (const time of ['18T12:10Z', '19T12:00Z', '20T00:10Z', '20T12:00Z', '21T00:10Z'])
      await runJobs(`2026-11-${time}`, jobs)
    await deliver(
      '2026-11-21T12:00Z',
      ['18T12:00Z', '19T05:59Z', '19T06:01Z', '19T20:00Z', '20T20:00Z'].map((time) => `2026-11-${time}`),
    )
    now = new Date('2026-11-21T12:10Z')
    await pulls.fold()
  }

  test('count if the registry was cut off and delivers them later, except those of the day whose invocations are deleted', async () => {
    await cutOff()
    expect(await lateTimes()).toEqual(['2026-11-18T12:00Z', '2026-11-19T05:59Z'])
    expect(await timesIn(sql`pulls.outcomes`)).toEqual(['2026-11-19T06:01Z', '2026-11-19T20:00Z', '2026-11-20T20:00Z'])
  })

  test('all count if single invocations are kept for longer than the registry was cut off', async () => {
    const patient = { ...core, config: { ...core.config, pulls_detail_days: 4 } }
    await cutOff(await openPulls(patient, stores.database))
    expect(await lateTimes()).toEqual([])
    expect(await timesIn(sql`pulls.outcomes`)).toHaveLength(6)
  })

  test('count if they are delivered and not folded yet', async () => {
    await deliver('2026-11-18T12:00Z', ['2026-11-18T11:00Z'])
    await runJobs('2026-11-18T12:10Z')
    now = new Date('2026-11-20T11:00Z')
    await createCounting(stores, () => now).ingest([pull('2026-11-18T12:00Z')])
    await pulls.rollUp()
    await pulls.fold()
    now = new Date('2026-11-20T11:10Z')
    await pulls.fold()
    expect([await lateTimes(), await timesIn(sql`pulls.outcomes`)]).toEqual([
      [],
      ['2026-11-18T11:00Z', '2026-11-18T12:00Z'],
    ])
  })
})
