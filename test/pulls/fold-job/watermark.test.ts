import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { microsOf, type Micros } from '../../../src/events/calendar.js'
import { foldableUntil, watermarkOf } from '../../../src/pulls/fold-job/watermark.js'
import { createCounting } from '../../servers/counting.js'
import { anEvent } from '../../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const REGISTRY = 'registry.example'
const LATENESS = 300_000_000
const at = (time: string): string => `2026-11-18T${time}Z`
const microsAt = (time: string): Micros => microsOf(new Date(at(time)))

describe.each(STORE_PAIRS)('the watermark, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  const untilAt = async (time: string): Promise<[ahead: Micros | undefined, then: Micros | undefined]> => {
    const needs = { lateness: LATENESS, now: () => new Date(at(time)) }
    const ahead = await foldableUntil(stores.database.jobs, REGISTRY, needs)
    const mark = await stores.database.jobTransaction(async (tx) => watermarkOf(tx, REGISTRY, needs))
    return [ahead, mark?.until]
  }

  test('is known before the transaction that folds the requests', async () => {
    expect(await untilAt('12:00:00')).toEqual([undefined, undefined])
    await createCounting(stores).ingest([
      anEvent({ action: 'pull', method: 'GET', object: 'manifest', tag: '1.0', at: at('12:00:00') }),
    ])
    // Other requests may be five minutes late, until the registry has reported no newer request for as long.
    const early = microsAt('11:55:00')
    expect(await untilAt('12:00:10')).toEqual([early, early])
    expect(await untilAt('12:05:09')).toEqual([early, early])
    const all = microsAt('12:00:00')
    expect(await untilAt('12:05:10')).toEqual([all, all])
  })
})
