import { isCancelled } from './database.js'

/** The usual size of a step is divided by `divisor` until so many steps of that size have succeeded. */
type Smaller = { divisor: number; remaining: number; successes: number }

/** Of each kind of step that was ended: how much smaller its steps are. */
export type StepSizes = Map<string, Smaller>

export const createStepSizes = (): StepSizes => new Map()

/** By how much a step becomes smaller if it was ended, and larger after as many successes. */
const FACTOR = 8
/** Each step that is ended again doubles the number of successes before a larger step is tried. */
const MOST_SUCCESSES = 1_024

/**
 * Does one step. A step whose statement took too long, and was ended, would be ended again: it is repeated with an eighth of its size, down to one
 * row. The next steps are as small, until enough of them have succeeded.
 * @param size of a usual step
 * @param step gets the number by which its size is to be divided
 * @throws what the smallest step throws, and any other error at once
 */
export const doStep = async <T>(
  sizes: StepSizes,
  { kind, size }: { kind: string; size: number },
  step: (divisor: number) => Promise<T>,
): Promise<T> => {
  for (;;) {
    const divisor = sizes.get(kind)?.divisor ?? 1
    try {
      const result = await step(divisor)
      grow(sizes, kind)
      return result
    } catch (error) {
      if (!isCancelled(error) || partOf(size, divisor) === 1) throw error
      shrink(sizes, kind)
    }
  }
}

/** @returns a part of a size, at least 1 */
export const partOf = (size: number, divisor: number): number => Math.max(1, Math.floor(size / divisor))

const shrink = (sizes: StepSizes, kind: string): void => {
  const { divisor, successes } = sizes.get(kind) ?? { divisor: 1, successes: FACTOR / 2 }
  const needed = Math.min(MOST_SUCCESSES, successes * 2)
  sizes.set(kind, { divisor: divisor * FACTOR, remaining: needed, successes: needed })
}

/** A step of the usual size has to succeed once before the smaller ones are forgotten. */
const grow = (sizes: StepSizes, kind: string): void => {
  const smaller = sizes.get(kind)
  if (smaller?.divisor === 1) sizes.delete(kind)
  else if (smaller && --smaller.remaining === 0)
    sizes.set(kind, { ...smaller, divisor: smaller.divisor / FACTOR, remaining: smaller.successes })
}
