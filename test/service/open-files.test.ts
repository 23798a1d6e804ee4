import { execFileSync } from 'node:child_process'
import { describe, expect, test } from '@jest/globals'
import { mostConnections, openFileLimit, openFileWarnings } from '../../src/service/open-files.js'

describe('the number of connections', () => {
  test.each([
    [undefined, 4_096],
    [1_048_576, 4_096],
    [5_396, 4_096],
    [4_096, 2_796],
    [1_024, 256],
  ])('with a limit of %s open files, it leaves files for the stores', (limit, most) => {
    expect(mostConnections(limit)).toBe(most)
    expect(openFileWarnings(limit)).toEqual(
      most === 4_096
        ? []
        : [
            expect.stringContaining(
              `only ${limit} open files, so that it accepts ${most} connections at once: allow 5396`,
            ),
          ],
    )
  })

  test('the limit is that of this process', () => {
    expect(openFileLimit()).toBe(Number(execFileSync('sh', ['-c', 'ulimit -Sn'], { encoding: 'utf8' })) || undefined)
    expect(openFileLimit('/nowhere')).toBeUndefined()
  })
})
