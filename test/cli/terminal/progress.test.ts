import { describe, expect, test } from '@jest/globals'
import { bar, progressLine } from '../../../src/cli/terminal/progress.js'

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

  test.each([true, false])('escapes what commands a terminal (terminal: %s)', (isTTY) => {
    const written: string[] = []
    const line = progressLine({ write: (text: string) => written.push(text) > 0, isTTY, columns: 200 }, () => now)
    let now = 0
    line.show('first')
    now = 5_000
    line.show('team/\u001b]0;pwn\u0007\r\n\u009b\u202eapp')
    expect(written.at(-1)?.replace('\r\u001b[2K', '').trimEnd()).toBe(
      'team/\\u001b]0;pwn\\u0007\\u000d\\u000a\\u009b\\u202eapp',
    )
  })

  test('is a bar', () => {
    expect(bar(1, 4)).toBe('[#####---------------]  25 %')
    expect(bar(0, 0)).toBe('[####################] 100 %')
  })
})
