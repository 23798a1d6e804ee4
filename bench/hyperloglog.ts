import { randomUUID } from 'node:crypto'
import { HyperLogLog } from '../src/storage/sketches/hyperloglog/hyperloglog.js'
import { locate } from '../src/storage/sketches/hyperloglog/murmur.js'
import { sampleOf, type Row } from './sample.js'

const IDS = 500_000

/** Additions a second of ids of 36 bytes to one sketch, beside the hash alone, which is the most there can be. */
export const benchHyperloglog = ({ rounds }: { rounds: number }): Row[] => {
  // As they come: parsed from JSON, in one piece.
  const ids = JSON.parse(JSON.stringify(Array.from({ length: IDS }, () => randomUUID()))) as string[]
  const [adds, hashes]: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds + 1; round++) {
    const added = perSecond(() => {
      const sketch = new HyperLogLog()
      for (const id of ids) sketch.add(id)
    })
    const hashed = perSecond(() => {
      for (const id of ids) locate(id)
    })
    if (round > 0) {
      adds.push(added)
      hashes.push(hashed)
    }
  }
  const ratio = sampleOf(adds.map((added, i) => added / (hashes[i] ?? NaN)))
  return [
    {
      measured: 'hyperloglog.add of 36-byte ids',
      unit: 'adds/s',
      sample: sampleOf(adds),
      target: { least: 3_000_000 },
      limit: { what: 'of hashing alone', ratio },
    },
  ]
}

const perSecond = (work: () => void): number => {
  const start = performance.now()
  work()
  return (IDS / (performance.now() - start)) * 1000
}
