import type { Submitter } from './turns-of-submitters.js'

/** Weights of holders, and of each of their registries. */
export type SubmitterWeights = {
  /** @param weight may be negative */
  add: (submitter: Submitter, weight: number) => void
  of: (submitter: Partial<Submitter>) => number
}

export const createSubmitterWeights = (): SubmitterWeights => {
  const weights = new Map<string, number>()
  const keyOf = ({ holder, registry }: Partial<Submitter>): string => JSON.stringify([holder, registry])
  const addTo = (key: string, weight: number): void => {
    const sum = (weights.get(key) ?? 0) + weight
    if (sum > 0) weights.set(key, sum)
    else weights.delete(key)
  }
  return {
    add: (submitter, weight) => {
      addTo(keyOf(submitter), weight)
      addTo(keyOf({ holder: submitter.holder }), weight)
    },
    of: (submitter) => weights.get(keyOf(submitter)) ?? 0,
  }
}
