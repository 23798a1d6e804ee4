import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { DefinitionError, type ReadDefinition } from '../definitions/definition-file.js'

export type MetricTimeFrame = '7d' | '28d' | 'month' | 'all' | 'none'
type DataSource = 'redis_hll' | 'redis' | 'database' | 'pulls' | 'system' | 'setting'
export type DataCategory = 'standard' | 'subscription' | 'operational' | 'optional'

/** The type of a value in the payload. */
export type ValueType = 'string' | 'number' | 'boolean' | 'object'

type MetricFields = {
  key_path: string
  description: string
  value_type: ValueType
  status: 'active' | 'removed' | 'broken'
  data_source: DataSource
  data_category: DataCategory
  milestone: string
  options: Record<string, unknown>
}

/** A metric from a file, with one time frame. definitions/schema/metric.json describes these and all other fields. */
export type MetricDefinition = MetricFields & { time_frame: MetricTimeFrame }
type MetricDocument = MetricFields & { time_frame: MetricTimeFrame | MetricTimeFrame[] }

export type LoadedMetric = { definition: MetricDefinition; file: string }

/** The names to which a definition may refer. */
export type MetricReferences = {
  /** Events with sketches. */
  uniqueEvents: ReadonlySet<string>
  /** Events with totals. */
  totalEvents: ReadonlySet<string>
  /** Queries with the time frames over which they count. */
  queries: ReadonlyMap<string, readonly MetricTimeFrame[]>
  /** Measures of pulls. */
  measures: ReadonlySet<string>
  systemValues: ReadonlyMap<string, ValueType>
  settingValues: ReadonlyMap<string, ValueType>
}

/** What a time frame adds to a key path, and how a description names it. */
const TIME_FRAMES: Partial<Record<MetricTimeFrame, { suffix: string; words: string }>> = {
  '7d': { suffix: '_weekly', words: 'in the last complete ISO week' },
  '28d': { suffix: '_monthly', words: 'in the last four complete ISO weeks' },
  month: { suffix: '_calendar_month', words: 'in the last complete calendar month' },
}

/**
 * Loads every `*.yml` below a directory and checks it: its fields, its references, and that no two metrics claim the same key path.
 * @throws DefinitionError with all errors of all files
 */
export const loadMetrics = (folder: string, read: ReadDefinition, known: MetricReferences): LoadedMetric[] => {
  const problems: string[] = []
  const metrics = filesIn(folder).flatMap((file) => {
    const path = join(folder, file)
    try {
      return perTimeFrame(read(path, 'metric') as MetricDocument, file)
    } catch (error) {
      if (!(error instanceof DefinitionError)) throw error
      problems.push(...error.problems.map((problem) => `${file}: ${problem}`))
      return []
    }
  })
  problems.push(...metrics.flatMap((metric) => wrongReferences(metric, known)), ...clashes(metrics))
  if (problems.length > 0) throw new MetricsError(folder, problems)
  return inOrder(metrics)
}

/** Like DefinitionError, but each error names its own file below the directory. */
class MetricsError extends DefinitionError {
  constructor(folder: string, problems: string[]) {
    super(folder, problems)
    this.message = problems.map((problem) => join(folder, problem)).join('\n')
  }
}

const filesIn = (folder: string): string[] => {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && /\.ya?ml$/.test(entry.name))
      .map((entry) => relative(folder, join(entry.parentPath, entry.name)))
      .sort()
  } catch {
    throw new DefinitionError(folder, ['the folder cannot be read; check the path and its permissions'])
  }
}

/**
 * Makes one definition for each time frame of a list. As at GitLab, a suffix distinguishes the key paths: it replaces `{suffix}`, or is
 * added at the end. `{time_frame}` in the description becomes words.
 */
const perTimeFrame = (document: MetricDocument, file: string): LoadedMetric[] => {
  const { time_frame: frames, key_path, description } = document
  if (!Array.isArray(frames)) return [{ definition: { ...document, time_frame: frames }, file }]
  return frames.map((frame) => {
    const { suffix = '', words = '' } = TIME_FRAMES[frame] ?? {}
    return {
      file,
      definition: {
        ...document,
        key_path: key_path.includes('{suffix}') ? key_path.replaceAll('{suffix}', suffix) : `${key_path}${suffix}`,
        description: description.replaceAll('{time_frame}', words).trim(),
        time_frame: frame,
      },
    }
  })
}

/** By time frame, then by file, each with its suffix: the order of documents and of the API. */
const inOrder = (metrics: readonly LoadedMetric[]): LoadedMetric[] => {
  const rankOf = ({ definition: { time_frame: frame }, file }: LoadedMetric): string =>
    `${frame} ${file.replace(/\.ya?ml$/, '')}${TIME_FRAMES[frame]?.suffix ?? ''}`
  return metrics
    .map((metric) => ({ metric, rank: rankOf(metric) }))
    .sort((a, b) => (a.rank < b.rank ? -1 : 1))
    .map(({ metric }) => metric)
}

type MetricOptions = Partial<Record<'event' | 'query' | 'measure' | 'value' | 'by', string>> & { events?: string[] }

const wrongReferences = ({ definition, file }: LoadedMetric, known: MetricReferences): string[] => {
  if (definition.status === 'removed') return []
  const { events = [], event, query, measure, value, by } = definition.options as MetricOptions
  const missing = (
    key: string,
    name = '',
    names: ReadonlySet<string> | ReadonlyMap<string, unknown>,
    what: string,
  ): string[] => (names.has(name) ? [] : [`${file}: options.${key} is "${name}", expected ${what}: ${listed(names)}`])
  const wrongType = (type: ValueType | undefined): string[] =>
    type === undefined || type === definition.value_type
      ? []
      : [`${file}: value_type is "${definition.value_type}", expected ${type}: what the data source gives`]
  switch (definition.data_source) {
    case 'redis_hll':
      return events.flatMap((name, i) =>
        missing(`events[${i}]`, name, known.uniqueEvents, 'an event with unique users'),
      )
    case 'redis':
      return missing('event', event, known.totalEvents, 'an event with a total')
    case 'database':
      return [
        ...missing('query', query, known.queries, 'a query'),
        ...wrongType('number'),
        ...wrongTimeFrame(file, definition, known.queries.get(query ?? '')),
      ]
    case 'pulls':
      return [
        ...missing('measure', measure, known.measures, 'a measure of pulls'),
        ...wrongType(by === undefined ? 'number' : 'object'),
      ]
    case 'system':
      return [
        ...missing('value', value, known.systemValues, 'a system value'),
        ...wrongType(known.systemValues.get(value ?? '')),
      ]
    case 'setting':
      return [
        ...missing('value', value, known.settingValues, 'a setting'),
        ...wrongType(known.settingValues.get(value ?? '')),
      ]
  }
}

/** The time frame is part of a query's text, so another time frame in the file would be false. */
const wrongTimeFrame = (
  file: string,
  { time_frame, options }: MetricDefinition,
  frames: readonly MetricTimeFrame[] | undefined,
): string[] =>
  frames === undefined || frames.includes(time_frame)
    ? []
    : [
        `${file}: time_frame is "${time_frame}", expected ${frames.join(' or ')}: what ${String(options.query)} counts over`,
      ]

const listed = (names: ReadonlySet<string> | ReadonlyMap<string, unknown>): string =>
  names.size > 20 ? 'see definitions/events' : [...names.keys()].join(', ')

const clashes = (metrics: LoadedMetric[]): string[] => {
  const byPath = new Map<string, string>()
  const problems = []
  for (const { definition, file } of metrics) {
    const other = byPath.get(definition.key_path)
    if (other !== undefined) problems.push(`${file}: key_path ${definition.key_path} is also that of ${other}`)
    byPath.set(definition.key_path, file)
  }
  for (const [path, file] of byPath) {
    const parents = path.split('.').map((_, i, parts) => parts.slice(0, i).join('.'))
    for (const parent of parents) {
      const holder = byPath.get(parent)
      if (holder !== undefined) problems.push(`${file}: key_path ${path} lies inside ${parent}, the value of ${holder}`)
    }
  }
  return problems
}
