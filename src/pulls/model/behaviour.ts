import { MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'

/** A day that is not rolled up yet takes the newest reading of the last so many days that are. */
export const NEWEST_DAYS = 7

/** How an origin requests a repository over time (docs/definitions-of-numbers.md, "Behaviour"). */
export const PATTERNS = ['regular_poller', 'scheduled', 'irregular', 'insufficient'] as const
type Pattern = (typeof PATTERNS)[number]
/** What a pattern makes likely; never certain. */
export const LIKELY = ['deployment', 'local-development', 'ci', 'unknown'] as const
type Likely = (typeof LIKELY)[number]

export type Behaviour = {
  pattern: Pattern
  likely: Likely
  /** The median interval between invocations, in seconds; only of regular_poller and scheduled. */
  period?: number
  /** The evidence for the reading. */
  evidence: { invocations: number; references: number; fitting: number }
  /** From 0 to 1. With the minimum of five invocations, the value is low. */
  confidence: number
}

export type BehaviourInput = {
  /** When the invocations of the origin began, in order. */
  times: readonly Micros[]
  /** Number of distinct tags and digests that the origin requested. */
  references: number
  /** Whether a tool that people use by hand is used from a cloud provider's network. */
  isLocalToolInCloud?: boolean
}

/** With fewer invocations, no pattern can be read. */
export const MIN_INVOCATIONS = 5
/** The reading uses at most so many invocations of an origin in a repository: the newest. */
export const MAX_TIMES = 500
/** An interval fits if its distance from one, two or three times the median is at most this share of the median. */
const TOLERANCE = 0.1
const MIN_TOLERANCE = 30 * MICROS_PER_SECOND
const MULTIPLES = [1, 2, 3]
const MIN_FITTING = 0.8
const MIN_PERIOD = 60 * MICROS_PER_SECOND
const MIN_SCHEDULED_PERIOD = 20 * 3_600 * MICROS_PER_SECOND
/** With so many intervals, the confidence is half of its maximum. */
const HALF_CONFIDENCE = 10

export const behaviourOf = ({ times, references, isLocalToolInCloud = false }: BehaviourInput): Behaviour => {
  const invocations = times.length
  const intervals = times.slice(1).map((at, i) => at - (times[i] ?? at))
  if (invocations < MIN_INVOCATIONS)
    return {
      pattern: 'insufficient',
      likely: 'unknown',
      evidence: { invocations, references, fitting: 0 },
      confidence: 0,
    }
  const base = medianOf(intervals)
  const tolerance = Math.max(TOLERANCE * base, MIN_TOLERANCE)
  const fitting =
    intervals.filter((one) => MULTIPLES.some((n) => Math.abs(one - n * base) <= tolerance)).length / intervals.length
  const evidence = { invocations, references, fitting }
  const confidence = intervals.length / (intervals.length + HALF_CONFIDENCE)
  if (fitting >= MIN_FITTING && base >= MIN_PERIOD) {
    const pattern = base >= MIN_SCHEDULED_PERIOD ? 'scheduled' : 'regular_poller'
    return {
      pattern,
      likely: 'deployment',
      period: base / MICROS_PER_SECOND,
      evidence,
      confidence: confidence * fitting,
    }
  }
  const likely = isLocalToolInCloud ? 'ci' : references > 1 ? 'local-development' : 'unknown'
  return {
    pattern: 'irregular',
    likely,
    evidence,
    confidence: likely === 'unknown' ? 0 : confidence * (1 - fitting / 2),
  }
}

const medianOf = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const [low = 0, high = 0] = [sorted[sorted.length % 2 === 1 ? middle : middle - 1], sorted[middle]]
  return (low + high) / 2
}
