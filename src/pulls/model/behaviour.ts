import { MICROS_PER_SECOND, type Micros } from '../../events/calendar.js'

/** Days whose readings stand for days that are not rolled up yet. */
export const NEWEST_DAYS = 7

/** How an origin asks for a repository over time (docs/definitions-of-numbers.md, "Behaviour"). */
export const PATTERNS = ['regular_poller', 'scheduled', 'irregular', 'insufficient'] as const
type Pattern = (typeof PATTERNS)[number]
/** What that makes likely; never certain. */
export const LIKELY = ['deployment', 'local-development', 'ci', 'unknown'] as const
type Likely = (typeof LIKELY)[number]

export type Behaviour = {
  pattern: Pattern
  likely: Likely
  /** The median interval between invocations, in seconds; of a pattern that has one. */
  period?: number
  /** What the reading rests on. */
  evidence: { invocations: number; references: number; fitting: number }
  /** From 0 to 1; five invocations are the fewest, and weak. */
  confidence: number
}

export type Intervals = {
  /** When its invocations began, in order. */
  times: readonly Micros[]
  /** Different tags and digests that it asked for. */
  references: number
  /** Whether a tool that people use by hand is used from a cloud provider's network. */
  isLocalToolInCloud?: boolean
}

/** Invocations without which there is nothing to read. */
export const MIN_INVOCATIONS = 5
/** Invocations of an origin in a repository that are looked at: the newest. */
export const MAX_TIMES = 500
/** An interval fits when it is this near to one, two or three times the median. */
const TOLERANCE = 0.1
const MIN_TOLERANCE = 30 * MICROS_PER_SECOND
const MULTIPLES = [1, 2, 3]
const MIN_FITTING = 0.8
const MIN_PERIOD = 60 * MICROS_PER_SECOND
const MIN_SCHEDULED_PERIOD = 20 * 3_600 * MICROS_PER_SECOND
/** Intervals after which as many more would say little. */
const HALF_CONFIDENCE = 10

export const behaviourOf = ({ times, references, isLocalToolInCloud = false }: Intervals): Behaviour => {
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
