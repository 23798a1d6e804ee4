import { cpus, release, totalmem } from 'node:os'

/** Several measurements of one thing. */
export type Sample = { median: number; least: number; most: number; times: number }

export const sampleOf = (values: readonly number[]): Sample => {
  const sorted = [...values].sort((a, b) => a - b)
  const at = (index: number): number => sorted[index] ?? NaN
  const middle = sorted.length >> 1
  return {
    median: sorted.length % 2 === 1 ? at(middle) : (at(middle - 1) + at(middle)) / 2,
    least: at(0),
    most: at(sorted.length - 1),
    times: sorted.length,
  }
}

export const percentile = (values: readonly number[], part: number): number =>
  [...values].sort((a, b) => a - b)[Math.ceil(values.length * part) - 1] ?? NaN

/** Measures again and again, one after the other. */
export const repeat = async (times: number, measure: () => Promise<number> | number): Promise<Sample> => {
  const values: number[] = []
  for (let i = 0; i < times; i++) values.push(await measure())
  return sampleOf(values)
}

/** One line of a report. */
export type Row = {
  measured: string
  unit: string
  sample: Sample
  /** In the same unit; what issue or document asks for. */
  target?: { least: number } | { most: number }
  /** What can be reached at all, measured in the same run, and the ratio of the two. */
  limit?: { what: string; ratio: Sample }
  note?: string
}

export const metTarget = ({ sample, target }: Row): boolean | undefined =>
  target && ('least' in target ? sample.median >= target.least : sample.median <= target.most)

export const machine = (): string =>
  `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Linux ${release()}, Node.js ${process.versions.node}`
