import { expect, test } from '@jest/globals'
import { clearMark, markErasure, readMark } from '../../../src/storage/sql/erasure-marks.js'
import { openEmbeddedStores } from '../../servers/stores.js'

test('a mark is removed unless an erasure began after it was read', async () => {
  const { database, close } = await openEmbeddedStores()
  const db = database.sql
  await markErasure(db, ['log', 'dumps'])
  const before = await readMark(db, 'log')
  await markErasure(db, ['log'])
  await clearMark(db, 'log', before)
  expect(await readMark(db, 'log')).toBeDefined()
  await clearMark(db, 'log', await readMark(db, 'log'))
  expect(await readMark(db, 'log')).toBeUndefined()
  expect(await readMark(db, 'dumps')).toBeDefined()
  await close()
})
