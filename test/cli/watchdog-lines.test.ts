import { expect, test } from '@jest/globals'
import { watchdogLines } from '../../src/cli/watchdog-lines.js'

test('only a blocked process with the embedded database is advised to use PostgreSQL', () => {
  const advised = (['pglite', 'postgresql'] as const).flatMap((engine) =>
    Object.entries(watchdogLines(engine)).flatMap(([cause, line]) =>
      line.includes('DATABASE_URL') ? [`${engine} ${cause}`] : [],
    ),
  )
  expect(advised).toEqual(['pglite blocked'])
})
