import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { createDefinitionReader, DefinitionError } from '../../src/definitions/definition-file.js'
import { loadMetrics, type LoadedMetric, type MetricTimeFrame, type ValueType } from '../../src/metrics/definition.js'
import { temporaryFolder } from '../servers/process.js'
import { ROOT } from '../servers/service.js'

const read = createDefinitionReader(join(ROOT, 'definitions', 'schema'))
const known = {
  uniqueEvents: new Set(['pushers']),
  totalEvents: new Set(['pushes']),
  queries: new Map<string, MetricTimeFrame[]>([
    ['repositories', ['all', 'none']],
    ['deletions', ['28d']],
  ]),
  measures: new Set(['pulls']),
  systemValues: new Map<string, ValueType>([['uuid', 'string']]),
  settingValues: new Map<string, ValueType>([['rules', 'string']]),
}

const RIGHT = `key_path: counts.pushers
description: People who pushed
value_type: number
status: active
milestone: '0.1'
time_frame: 7d
data_source: redis_hll
data_category: optional
options: { events: [pushers] }
`

describe('metric definitions of an operator', () => {
  let folder: ReturnType<typeof temporaryFolder>
  beforeEach(() => {
    folder = temporaryFolder('metrics')
    mkdirSync(join(folder.path, 'counts_7d'))
  })
  afterEach(() => {
    folder.remove()
  })
  const write = (name: string, text: string): void => {
    writeFileSync(join(folder.path, 'counts_7d', name), text)
  }
  const load = (): LoadedMetric[] => loadMetrics(folder.path, read, known)

  test('one file is one metric', () => {
    write('pushers.yml', RIGHT)
    expect(load()).toMatchObject([
      { file: 'counts_7d/pushers.yml', definition: { key_path: 'counts.pushers', time_frame: '7d' } },
    ])
  })

  test('a list of time frames is a metric each, as GitLab names them', () => {
    write('pushers.yml', RIGHT.replace('time_frame: 7d', 'time_frame: [7d, 28d, month]'))
    expect(load().map(({ definition }) => [definition.key_path, definition.time_frame])).toEqual([
      ['counts.pushers_monthly', '28d'],
      ['counts.pushers_weekly', '7d'],
      ['counts.pushers_calendar_month', 'month'],
    ])
  })

  test('the suffix and the words of a time frame stand where the file says', () => {
    const named = RIGHT.replace('counts.pushers', 'counts{suffix}.pushers').replace(
      /description: .*/,
      'description: Pushers {time_frame}',
    )
    write('pushers.yml', named.replace('time_frame: 7d', 'time_frame: [7d, month]'))
    expect(load().map(({ definition: { key_path, description } }) => [key_path, description])).toEqual([
      ['counts_weekly.pushers', 'Pushers in the last complete ISO week'],
      ['counts_calendar_month.pushers', 'Pushers in the last complete calendar month'],
    ])
  })

  test("GitLab's other fields are taken", () => {
    write(
      'pushers.yml',
      `${RIGHT}product_group: container_registry\ntiers: [free]\nperformance_indicator_type: []\ndistribution: [ce, ee]\n`,
    )
    expect(load()).toHaveLength(1)
  })

  test.each([
    ['a missing field', RIGHT.replace('description: People who pushed\n', ''), /description is missing/],
    ['an unknown field', `${RIGHT}colour: red\n`, /colour is not a key known here/],
    ['a wrong time frame', RIGHT.replace('7d', '9d'), /time_frame is "9d", expected one of 7d, 28d, month/],
    [
      'a status that is none',
      RIGHT.replace('active', 'fine'),
      /status is "fine", expected one of active, removed, broken/,
    ],
    ['a number for a milestone', RIGHT.replace("'0.1'", '0.1'), /milestone is 0\.1, expected string/],
    [
      'a key path with capitals',
      RIGHT.replace('counts.pushers', 'Counts.pushers'),
      /key_path is "Counts\.pushers", expected text like/,
    ],
    ['all time for a sketch', RIGHT.replace('7d', 'all'), /time_frame is "all", expected one of 7d, 28d, month/],
    ['no events', RIGHT.replace('[pushers]', '[]'), /options\.events must NOT have fewer than 1/],
    ['options of another source', RIGHT.replace('events: [pushers]', 'event: pushes'), /options\.events is missing/],
    ['removed without a milestone', RIGHT.replace('active', 'removed'), /milestone_removed is missing/],
    ['broken without an address', RIGHT.replace('active', 'broken'), /repair_issue_url is missing/],
    [
      'an undeclared event',
      RIGHT.replace('[pushers]', '[poets]'),
      /options\.events\[0\] is "poets", expected an event with unique users: pushers/,
    ],
    [
      'an event without a total',
      RIGHT.replace('redis_hll', 'redis').replace('events: [pushers]', 'event: pushers'),
      /options\.event is "pushers", expected an event with a total: pushes/,
    ],
    [
      'an unknown query',
      RIGHT.replace('7d', 'all').replace('redis_hll', 'database').replace('events: [pushers]', 'query: x'),
      /options\.query is "x", expected a query: repositories/,
    ],
    [
      'an unknown system value',
      RIGHT.replace('7d', 'none').replace('redis_hll', 'system').replace('events: [pushers]', 'value: x'),
      /options\.value is "x", expected a system value: uuid/,
    ],
    [
      'an unknown setting',
      RIGHT.replace('7d', 'none').replace('redis_hll', 'setting').replace('events: [pushers]', 'value: x'),
      /options\.value is "x", expected a setting: rules/,
    ],
    [
      'a query over another time than its own',
      RIGHT.replace('redis_hll', 'database').replace('7d', 'all').replace('events: [pushers]', 'query: deletions'),
      /time_frame is "all", expected 28d: what deletions counts over/,
    ],
    [
      'a query of now over four weeks',
      RIGHT.replace('redis_hll', 'database').replace('7d', '28d').replace('events: [pushers]', 'query: repositories'),
      /time_frame is "28d", expected all or none: what repositories counts over/,
    ],
    [
      'a text where the source gives a number',
      RIGHT.replace('number', 'string')
        .replace('7d', 'all')
        .replace('redis_hll', 'database')
        .replace('events: [pushers]', 'query: repositories'),
      /value_type is "string", expected number: what the data source gives/,
    ],
    [
      'a number where the source gives a text',
      RIGHT.replace('7d', 'none').replace('redis_hll', 'system').replace('events: [pushers]', 'value: uuid'),
      /value_type is "number", expected string/,
    ],
    [
      'a number where the source gives an object',
      RIGHT.replace('redis_hll', 'pulls').replace('{ events: [pushers] }', '{ measure: pulls, by: kind }'),
      /value_type is "number", expected object/,
    ],
    [
      "GitLab's class that makes the value",
      `${RIGHT}instrumentation_class: RedisHLLMetric\n`,
      /instrumentation_class has no effect here: data_source and options say how the value is made; remove it/,
    ],
    [
      "GitLab's schema of the value",
      `${RIGHT}value_json_schema: x.json\n`,
      /value_json_schema has no effect here: .*; remove it/,
    ],
    ['broken YAML', 'key_path: [', /not YAML/],
    ['an empty file', '', /the document is null, expected object/],
  ])('%s stops the start, naming file and key', (_, text, message) => {
    write('wrong.yml', text)
    expect(load).toThrow(DefinitionError)
    expect(load).toThrow(message)
    expect(load).toThrow(join(folder.path, 'counts_7d/wrong.yml'))
  })

  test('all errors of all files are reported together', () => {
    write('one.yml', RIGHT.replace('active', 'fine'))
    write('two.yml', RIGHT.replace('7d', '9d'))
    expect(load).toThrow(/one\.yml: status is[^]*two\.yml: time_frame is/)
  })

  test('two metrics cannot have the same key path, nor can one be inside the value of another', () => {
    write('one.yml', RIGHT)
    write('two.yml', RIGHT)
    write('three.yml', RIGHT.replace('counts.pushers', 'counts.pushers.deeper'))
    expect(load).toThrow(/two\.yml: key_path counts\.pushers is also that of counts_7d\/one\.yml/)
    expect(load).toThrow(/three\.yml: key_path counts\.pushers\.deeper lies inside counts\.pushers/)
  })

  test('a missing directory is reported', () => {
    expect(() => loadMetrics(join(folder.path, 'nowhere'), read, known)).toThrow(/cannot be read/)
  })
})

describe('the metrics that come with Tallyman', () => {
  const folders = readdirSync(join(ROOT, 'metrics'))
  const documented = readFileSync(join(ROOT, 'docs', 'metrics.md'), 'utf8')

  test('lie in folders by what they are', () => {
    expect(folders.sort()).toEqual(['counts', 'counts_all', 'settings', 'system'])
  })

  test.each(['push_tag', 'delete_tag', 'push_repository', 'delete_repository', 'create_repository'])(
    'the event %s of the merge request is there weekly and monthly, at its key path',
    (name) => {
      const event = `i_container_registry_${name}_user`
      const keyPath = `redis_hll_counters.user_container_registry.${event}`
      const paths = [...documented.matchAll(/^\| `([^`]+)`/gm)].map(([, path = '']) => path)
      expect(paths.filter((path) => path.startsWith(`${keyPath}_`))).toEqual([
        `${keyPath}_monthly`,
        `${keyPath}_weekly`,
        `${keyPath}_calendar_month`,
      ])
      expect(read(join(ROOT, 'metrics', 'counts', `${event}.yml`), 'metric')).toMatchObject({
        key_path: keyPath,
        time_frame: ['7d', '28d', 'month'],
        options: { events: [event] },
      })
    },
  )
})

describe('the schemas of definitions', () => {
  type Schema = { $ref?: string; description?: string; properties?: Record<string, Schema> }
  const schema = (name: string): Schema & { definitions?: Record<string, Schema> } =>
    JSON.parse(readFileSync(join(ROOT, 'definitions', 'schema', `${name}.json`), 'utf8')) as Schema

  /** What is read outside the schema, so that another value gives another result. */
  const EFFECTIVE = {
    metric: [
      'key_path',
      'description',
      'value_type',
      'status',
      'time_frame',
      'data_source',
      'data_category',
      'options',
    ],
    event: ['name', 'description', 'when', 'unique', 'aggregations'],
  }

  test.each(['metric', 'event'] as const)('say of each field of a %s that it has no effect, or it has one', (what) => {
    const { definitions = {}, properties = {} } = schema(what === 'event' ? 'events' : what)
    const fields = what === 'event' ? (definitions.event?.properties ?? {}) : properties
    const idle = Object.entries(fields).filter(([, field]) => {
      const { description = '' } = definitions[field.$ref?.split('/').at(-1) ?? ''] ?? field
      return /without effect|has no effect/.test(description)
    })
    expect(idle.map(([name]) => name).sort()).toEqual(
      Object.keys(fields)
        .filter((name) => !EFFECTIVE[what].includes(name))
        .sort(),
    )
  })
})
