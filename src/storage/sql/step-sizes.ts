import { isCancelled } from './database.js'

/** The usual size of a step is divided by `divisor` until so many steps of that size have succeeded. */
type ReducedSize = { divisor: number; remaining: number; successes: number }

/** The reduced size of each kind of step whose statement was ended. */
export type StepSizes = Map<string, ReducedSize>

export const createStepSizes = (): StepSizes => new Map()

/** The factor by which a step shrinks after it was ended, and grows after enough successes. */
const FACTOR = 8
/** Each step that is ended again doubles the number of successes that a larger step needs. This is its limit. */
const MOST_SUCCESSES = 1_024

/**
 * Runs one step. If its statement took too long and was ended, the step is repeated with an eighth of its size, down to one row.
 * The next steps keep the smaller size until enough of them have succeeded.
 * @param size of a usual step
 * @param step gets the divisor of its size
 * @throws the error of the smallest step, or at once any error other than a cancellation
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

/** Only after a step of the usual size has succeeded once is the reduced size dropped. */
const grow = (sizes: StepSizes, kind: string): void => {
  const smaller = sizes.get(kind)
  if (smaller?.divisor === 1) sizes.delete(kind)
  else if (smaller && --smaller.remaining === 0)
    sizes.set(kind, { ...smaller, divisor: smaller.divisor / FACTOR, remaining: smaller.successes })
}
