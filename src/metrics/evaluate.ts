import { isNativeError } from 'node:util/types'
import { isStorageUnavailable } from '../storage/unavailable.js'
import type { MetricDefinition } from './definition.js'

export type MetricValue = string | number | boolean | object | null

/** The value of a metric, and details of its evaluation. A failed metric has -1 and its error. */
export type Evaluated = {
  definition: MetricDefinition
  value: MetricValue
  /** Why the value is -1. */
  error?: string
  /** The duration in seconds. Metrics that were read together have the same duration. */
  seconds: number
}

/** Reads the metrics of one data source with as few statements as possible. The result has their order, and an Error for a failed one. */
export type Kind = (definitions: readonly MetricDefinition[]) => Promise<(MetricValue | Error)[]>

export type Kinds = Record<MetricDefinition['data_source'], Kind>

const FAILED = -1
/** The error of a metric whose store was unavailable: it may have a value later. */
export const NO_ANSWER = 'the store does not answer'
const LONGEST_REASON = 200

/** Evaluates metrics, with all data sources in parallel. A failed metric becomes -1 and does not affect the others. */
export const evaluate = async (definitions: readonly MetricDefinition[], kinds: Kinds): Promise<Evaluated[]> => {
  const sources = [...new Set(definitions.map(({ data_source }) => data_source))]
  const groups = await Promise.all(
    sources.map(async (source) =>
      evaluateSource(
        definitions.filter(({ data_source }) => data_source === source),
        kinds[source],
      ),
    ),
  )
  const byDefinition = new Map(groups.flat().map((evaluated) => [evaluated.definition, evaluated]))
  return definitions.flatMap((definition) => byDefinition.get(definition) ?? [])
}

const evaluateSource = async (definitions: readonly MetricDefinition[], kind: Kind): Promise<Evaluated[]> => {
  const start = performance.now()
  const values = await kind(definitions).catch((error: unknown) => definitions.map(() => asError(error)))
  const seconds = (performance.now() - start) / 1000
  return definitions.map((definition, i) => {
    const value = values[i] ?? null
    return isNativeError(value)
      ? { definition, value: FAILED, error: reasonOf(value), seconds }
      : { definition, value, seconds }
  })
}

/** Errors are sent with the ping, so the error of an unavailable store must not contain its address. */
const reasonOf = (error: Error): string =>
  isStorageUnavailable(error) ? NO_ANSWER : error.message.slice(0, LONGEST_REASON)

export const asError = (error: unknown): Error => (isNativeError(error) ? error : new Error('failed'))
