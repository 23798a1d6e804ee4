import type { DataCategory, MetricDefinition } from '../metrics/definition.js'
import { evaluate, NO_ANSWER, type Evaluated, type Kinds, type MetricValue } from '../metrics/evaluate.js'
import { queryTexts } from '../metrics/kinds.js'

/** A Service Ping: `recorded_at` and the metrics, nested by the parts of their key paths. */
type Payload = { recorded_at: string; [part: string]: unknown }

/** Details of building a payload, which are sent separately. */
type Metadata = { uuid: string; metrics: { name: string; time_elapsed: number; error?: string }[] }

export type ServicePing = { payload: Payload; metadata: Metadata }

/** The value of an SQL metric in a ping of the kind `non_sql`. */
const SKIPPED_VALUE = -3

/** All values, the SQL texts instead of values, or all values but those from SQL. */
export type PingKind = 'all' | 'queries' | 'non_sql'

type BuildPingDeps = {
  definitions: readonly MetricDefinition[]
  kinds: Kinds
  uuid: string
  categories: ReadonlySet<DataCategory>
  now: () => Date
}

/** Evaluates all metrics of the allowed categories. A failed metric is -1, and the metadata contains its error. */
export const buildPing = async (deps: BuildPingDeps, kind: PingKind = 'all'): Promise<ServicePing> => {
  const { definitions, categories, uuid, now } = deps
  const recordedAt = now().toISOString()
  const selected = definitions.filter(
    ({ status, data_category, data_source }) =>
      status !== 'removed' && categories.has(data_category) && (kind !== 'queries' || data_source === 'database'),
  )
  const evaluated = await evaluate(selected, kindsFor(deps, kind))
  return { payload: { recorded_at: recordedAt, ...nest(evaluated) }, metadata: metadataOf(uuid, evaluated) }
}

/** Whether no store was unavailable while the ping was built. Metrics that failed for another reason would fail again. */
export const isComplete = ({ metadata }: ServicePing): boolean =>
  !metadata.metrics.some(({ error }) => error === NO_ANSWER)

const kindsFor = ({ kinds, now }: BuildPingDeps, kind: PingKind): Kinds => {
  if (kind === 'queries') return { ...kinds, database: queryTexts(now) }
  if (kind === 'non_sql')
    return { ...kinds, database: async (metrics) => Promise.resolve(metrics.map(() => SKIPPED_VALUE)) }
  return kinds
}

type Nested = { [part: string]: MetricValue | Nested }

/** `a.b.c` becomes { a: { b: { c } } }. Key paths were checked for clashes when they were loaded. */
const nest = (evaluated: readonly Evaluated[]): Nested => {
  const root = emptyNode()
  for (const { definition, value } of evaluated) {
    const parts = definition.key_path.split('.')
    const leaf = parts.pop() ?? ''
    let parent = root
    for (const part of parts) parent = (parent[part] ??= emptyNode()) as Nested
    parent[leaf] = value
  }
  return root
}

/** An object without a prototype, because a key path may contain any name, even "constructor". */
const emptyNode = (): Nested => Object.create(null) as Nested

const metadataOf = (uuid: string, evaluated: readonly Evaluated[]): Metadata => ({
  uuid,
  metrics: evaluated.map(({ definition, seconds, error }) => ({
    name: definition.key_path,
    time_elapsed: Math.round(seconds * 1e6) / 1e6,
    ...(error !== undefined && { error }),
  })),
})
