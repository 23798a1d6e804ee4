import { describe, expect, test } from '@jest/globals'
import { parsePullsQuery, PullsError } from '../../../src/pulls/query/parameters.js'

const NOW = new Date('2026-11-21T12:00:00Z')

describe('a query about pulls', () => {
  test('has defaults for all parameters', () => {
    expect(parsePullsQuery({}, NOW)).toMatchObject({
      measures: ['pulls', 'checks', 'downloads', 'unique_origins', 'unique_endpoints'],
      groupBy: [],
      filters: [],
      period: { from: '2026-10-24', to: '2026-11-21' },
      timeZone: 'UTC',
      compare: false,
    })
  })

  test('has the days of its time zone', () => {
    const late = new Date('2026-11-20T23:30:00Z')
    expect(parsePullsQuery({ period: 'today', tz: 'Europe/Berlin' }, late).period.from).toBe('2026-11-21')
    expect(parsePullsQuery({ since: '2026-11-01', tz: 'Europe/Berlin' }, late).period).toEqual({
      from: '2026-11-01',
      to: '2026-11-22',
    })
  })

  test.each(['measures', 'group_by', 'period', 'since', 'until', 'tz', 'compare', 'limit'])(
    'is refused if %s is longer than any value, before it is parsed',
    (name) => {
      expect(() => parsePullsQuery({ [name]: 'pulls,'.repeat(2_000) }, NOW)).toThrow(
        new PullsError(`${name}: expected at most 1000 characters`),
      )
    },
  )

  test('filters by any dimension, by several values', () => {
    const { filters } = parsePullsQuery({ repository: 'team/*, other', kind: 'runtime' }, NOW)
    expect(filters).toEqual([
      { dimension: 'repository', values: ['team/*', 'other'] },
      { dimension: 'kind', values: ['runtime'] },
    ])
  })

  test('a comma in a value is escaped with a backslash', () => {
    const { filters } = parsePullsQuery({ network: 'AS64496 Example\\, Inc.,AS64497*' }, NOW)
    expect(filters).toEqual([{ dimension: 'network', values: ['AS64496 Example, Inc.', 'AS64497*'] }])
  })

  test('country codes may be in lower case', () => {
    expect(parsePullsQuery({ country: 'de,unknown' }, NOW).filters).toEqual([
      { dimension: 'country', values: ['DE', 'unknown'] },
    ])
  })

  test('a value from a closed list may be given as a prefix', () => {
    const { filters } = parsePullsQuery({ signed_in: 'anon*', kind: 'cli,unknown' }, NOW)
    expect(filters.map(({ values }) => values)).toEqual([['anon*'], ['cli', 'unknown']])
  })

  test.each([
    [{ measures: 'pulls,stars' }, /^measures: "stars" is not known, expected invocations, pulls, /],
    [{ measures: ' , ' }, /^measures: expected at least one of invocations, pulls, /],
    [{ group_by: 'day,client,tag,os' }, /^group_by: expected at most 3/],
    [
      { tz: 'Mars/Olympus' },
      /^tz: "Mars\/Olympus" is not a time zone; expected an IANA name, for example Europe\/Berlin$/,
    ],
    [{ tz: 'CET' }, /^tz: "CET" is not a time zone; expected an IANA name/],
    [{ tz: '+01:00' }, /^tz: "\+01:00" is not a time zone/],
    [{ period: 'soon' }, /^period: unknown period "soon"; expected today, /],
    [{ period: 'today', since: '2026-01-01' }, /^period: expected either/],
    [{ until: '2026-01-01' }, /^until: expected since beside it/],
    [
      { since: '2026-02-30' },
      /^since: "2026-02-30" is not a day from 1970 to 2999; expected a day such as 2026-03-10$/,
    ],
    [{ since: '0001-01-01' }, /^since: "0001-01-01" is not a day from 1970/],
    [
      { since: '2026-02-03', until: 'now' },
      /^until: "now" is not a day from 1970 to 2999; expected a day such as 2026-03-10$/,
    ],
    [{ since: '2026-02-03', until: '2026-02-02' }, /^until: expected a day that is not before since/],
    [{ since: '2026-02-03', until: '9999-12-31' }, /^until: "9999-12-31" is not a day from 1970/],
    [{ since: '2026-11-22' }, /^since: begins on 2026-11-22, after today \(2026-11-21\); expected today or before$/],
    [{ since: '2027-01-01', until: '2027-02-01' }, /^since: begins on 2027-01-01, after today/],
    [{ period: '2027-01' }, /^period: begins on 2027-01-01, after today/],
    [{ period: 'every tuesday of 2027' }, /^period: begins on 2027-01-01, after today/],
    [{ limit: '0' }, /^limit: expected a whole number from 1 to 10000/],
    [{ compare: 'last-year' }, /^compare: expected previous/],
    [
      { colour: 'red' },
      /^"colour" is not a parameter; expected measures, group_by, period, since, until, tz, compare, limit, hour, day, /,
    ],
    [{ kind: 'runtim' }, /^kind: "runtim" is not known, expected runtime, builder, /],
    [{ signed_in: 'yes' }, /^signed_in: "yes" is not known, expected signed-in, anonymous$/],
    [{ weekday: 'x*' }, /^weekday: "x\*" is not known/],
    [
      { hour: '18' },
      /^hour: "18" is not an hour; expected a value such as 2026-11-28T18:00, or a prefix followed by \*$/,
    ],
    [{ hour: '2026-11-28T25:00' }, /^hour: "2026-11-28T25:00" is not an hour/],
    [{ hour: '2026-11-28T18:30' }, /^hour: .* is not an hour/],
    [{ day: '2026-11-99' }, /^day: "2026-11-99" is not a day; expected a value such as 2026-11-28/],
    [{ day: '2026-11-28,28' }, /^day: "28" is not a day/],
    [{ week: '48' }, /^week: "48" is not a week; expected a value such as 2026-W48/],
    [{ week: '2026-W54' }, /^week: .* is not a week/],
    [{ week: '2026-w48' }, /^week: .* is not a week/],
    [{ month: '11' }, /^month: "11" is not a month; expected a value such as 2026-11/],
    [{ month: '2026-13' }, /^month: .* is not a month/],
    [{ month: 'nov*' }, /^month: "nov\*" is not a month/],
    [{ period: 'someday' }, /^period: unknown period "someday"; expected today, yesterday, 7d or 28d /],
    [{ tag: ['a', 'b'] }, /^tag: expected one value/],
    [{ tag: 'x'.repeat(301) }, /^tag: expected at most 100 values/],
    [
      { digest: 'latest' },
      /^digest: "latest" is not a digest; expected a digest such as sha256:…, at least its first 12/,
    ],
    [{ digest: '4bcff63911f' }, /^digest: "4bcff63911f" is not a digest/],
    [{ tag: 'a\0b' }, /^tag: contains characters that no name has/],
  ])('is refused with a reason: %j', (parameters, message) => {
    const parse = (): unknown => parsePullsQuery(parameters, NOW)
    expect(parse).toThrow(PullsError)
    expect(parse).toThrow(message)
  })
})

test('a digest can be given as tables shorten it', () => {
  const hex = '4bcff63911fc'.repeat(12)
  const digests = [
    '4bcff63911fc',
    'sha512:4bcff63911fc',
    `sha256:${hex.slice(0, 64)}`,
    hex.slice(0, 64),
    'sha256:*',
    'unknown',
  ]
  expect(parsePullsQuery({ digest: digests.join() }, new Date('2026-11-21T12:00:00Z')).filters).toEqual([
    {
      dimension: 'digest',
      values: ['sha256:4bcff63911fc*', 'sha512:4bcff63911fc*', digests[2], digests[2], 'sha256:*', 'unknown'],
    },
  ])
})

test('times are given whole, or as their beginnings', () => {
  const times = { hour: '2026-11-20T00:00,2026-11-2*', day: '2026-11-*', week: '2026-W47,2026*', month: '2026-11,*' }
  expect(parsePullsQuery(times, new Date('2026-11-21T12:00:00Z')).filters).toEqual(
    Object.entries(times).map(([dimension, text]) => ({ dimension, values: text.split(',') })),
  )
})
