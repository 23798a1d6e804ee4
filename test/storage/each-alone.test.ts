import { expect, test } from '@jest/globals'
import { eachAlone } from '../../src/storage/each-alone.js'
import { StatementEnded } from '../servers/seen-statements.js'

/** Does what fails for some items. @returns which were begun, and how many errors it ended with */
const run = async (items: string): Promise<[begun: string, errors: number]> => {
  let begun = ''
  const failure = await eachAlone(Array.from(items), async (item) => {
    begun += item
    if (item === 'e') throw new Error('left out', { cause: new StatementEnded() })
    if (item === 'f') throw new Error('another failure')
    return Promise.resolve()
  }).catch((error: unknown) => error)
  return [begun, failure instanceof AggregateError ? failure.errors.length : 0]
}

test('one that fails does not keep the others waiting', async () => {
  expect(await run('.f.f.f.f.f.f.')).toEqual(['.f.f.f.f.f.f.', 6])
  expect(await run('...')).toEqual(['...', 0])
})

test('the fifth that took too long ends the run', async () => {
  expect(await run('e.e.f.e.e.')).toEqual(['e.e.f.e.e.', 5])
  expect(await run('e.e.f.e.e.e..')).toEqual(['e.e.f.e.e.e', 6])
})
