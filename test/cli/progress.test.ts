import { describe, expect, test } from '@jest/globals'
import { bar, progressLine } from '../../src/cli/progress.js'

const shownOn = (isTTY: boolean, times: number[]): string[] => {
  const written: string[] = []
  let now = 0
  const write = (text: string): boolean => written.push(text) > 0
  const line = progressLine({ write: write, isTTY, columns: 40 }, () => now)
  for (const time of times) {
    now = time
    line.show(`at ${time} ${'.'.repeat(100)}`)
  }
  line.end()
  return written
}

describe('progress', () => {
  test('is one line on a terminal, written over and cut to its width', () => {
    const written = shownOn(true, [0, 50, 120])
    expect(written.map((text) => text.replace('\r\u001b[2K', ''))).toEqual([
      `at 0 ${'.'.repeat(34)}`,
      `at 120 ${'.'.repeat(32)}`,
      '',
    ])
  })

  test('is seldom a line elsewhere, and none for what is done soon', () => {
    expect(shownOn(false, [0, 1_000]).length).toBe(0)
    expect(shownOn(false, [0, 2_000, 3_000, 7_000]).map((text) => text.slice(0, 7))).toEqual(['at 2000', 'at 7000'])
  })

  test('is a bar', () => {
    expect(bar(1, 4)).toBe('[#####---------------]  25 %')
    expect(bar(0, 0)).toBe('[####################] 100 %')
  })
})
