import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { createDumps } from '../../src/storage/dumps.js'
import { markErasure, readMark } from '../../src/storage/erasure-marks.js'
import { openPglite, type EmbeddedDatabase } from '../../src/storage/pglite.js'
import { fixedClock } from '../servers/clock.js'
import { embeddedFolder } from '../servers/stores.js'

let folder: ReturnType<typeof embeddedFolder>
let database: EmbeddedDatabase
beforeEach(async () => {
  folder = embeddedFolder()
  database = await openPglite(folder.path)
})
afterEach(async () => {
  await database.close()
  folder.remove()
})

/** A promise that a test resolves. */
const signal = (): { given: Promise<void>; give: () => void } => {
  let give = (): void => undefined
  const given = new Promise<void>((resolve) => (give = resolve))
  return { given, give }
}

test('a dump that is written during a whole erasure leaves the mark of the erasure', async () => {
  const [isCopied, isErased] = [signal(), signal()]
  let attempts = 0
  const dump: EmbeddedDatabase['dump'] = async (name, keep) => {
    if (++attempts > 1) throw new Error('killed')
    const file = await database.dump(name, keep)
    isCopied.give()
    await isErased.given
    return file
  }
  const dumps = createDumps({ ...database, dump }, fixedClock)
  await markErasure(database.sql, ['dumps'])
  const writing = dumps.write()
  const erasing = dumps.replaceAfter(async () => isCopied.given)
  await isCopied.given
  // The erasure is over when its own dump waits for the one under way.
  while ((await readMark(database.sql, 'dumps')) !== '3') await new Promise(setImmediate)
  isErased.give()
  await writing
  await expect(erasing).rejects.toThrow('killed')
  expect(await readMark(database.sql, 'dumps')).toBe('3')
})
