import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { isTimeZone } from '../../../src/events/calendar.js'
import { parsePullsQuery, PullsError } from '../../../src/pulls/query/parameters.js'
import { refuseUnknownTimeZone } from '../../../src/pulls/query/time-zone.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const NOW = new Date('2026-11-21T12:00:00Z')
/** Names that JavaScript has beyond those of IANA, from ICU. */
const OF_ICU =
  'ACT AET AGT ART AST BET BST CAT CNT CST CTT EAT ECT IET IST JST MIT NET NST PLT PNT PRT PST SST VST SystemV/PST8 US/Pacific-New'
/** A moment in winter and one in summer, of a year whose zones are settled in all lists. */
const MOMENTS = ['2021-01-15T12:00:00Z', '2021-07-15T12:00:00Z']

const localTime = (zone: string, at: string): string =>
  new Intl.DateTimeFormat('sv-SE', { timeZone: zone, dateStyle: 'short', timeStyle: 'medium' }).format(new Date(at))

describe.each(STORE_PAIRS)('time zones on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())

  test('each zone that a query may name means the same in JavaScript and in the database', async () => {
    const db = stores.database.sql
    const { rows: names } = await sql<{ name: string }>`
      select name from pg_timezone_names union select abbrev from pg_timezone_abbrevs
    `.execute(db)
    const all = [...names.map(({ name }) => name), ...Intl.supportedValuesOf('timeZone'), ...OF_ICU.split(' ')]
    const zones = [...new Set(all)].filter((zone) => isTimeZone(zone))
    const accepted: string[] = []
    for (const zone of zones) {
      try {
        const { timeZone } = parsePullsQuery({ tz: zone }, NOW)
        await refuseUnknownTimeZone(db, timeZone)
        accepted.push(timeZone)
      } catch (error) {
        if (!(error instanceof PullsError)) throw error
      }
    }
    expect(accepted.length).toBeGreaterThan(400)
    const { rows } = await sql<{ zone: string; at: string; local: string }>`
      select zone, at, to_char(at::timestamptz at time zone zone, 'YYYY-MM-DD HH24:MI:SS') as local
      from unnest(${accepted}::text[]) zone, unnest(${MOMENTS}::text[]) at
    `.execute(db)
    expect(rows.filter(({ zone, at, local }) => local !== localTime(zone, at))).toEqual([])
  })

  test('a zone that only JavaScript knows is refused with a sentence', async () => {
    await expect(refuseUnknownTimeZone(stores.database.sql, 'SST')).rejects.toThrow(
      new PullsError('tz: the database has no time zone "SST"; expected an IANA name, for example Europe/Berlin'),
    )
  })
})
