import { readFileSync } from 'node:fs'
import TestSequencer from '@jest/test-sequencer'

/** What makes a suite long, the longest first: processes of its own, random cases on both stores, stores. */
const SIGNS = [
  /\bstart(Service|DockerRegistry|RedisCluster)\b/,
  /\bruns(On)?\b[^]*\b(STORE_PAIRS|openEmbeddedStores)\b/,
  /\b(STORE_PAIRS|embeddedFolder|openApp|open(Embedded|Server)Stores)\b/,
]

/** Starts the longest suites first, so that no worker is left alone with one of them at the end. */
export default class LongestFirst extends TestSequencer {
  sort(tests) {
    // By the times of the last run where Jest's cache has them, otherwise by size.
    const sorted = super.sort(tests)
    if (sorted.some(({ duration }) => duration !== undefined)) return sorted
    const rank = new Map(
      sorted.map(({ path }) => {
        const text = readFileSync(path, 'utf8')
        const sign = SIGNS.findIndex((one) => one.test(text))
        return [path, sign < 0 ? SIGNS.length : sign]
      }),
    )
    return sorted.sort((a, b) => rank.get(a.path) - rank.get(b.path))
  }
}
