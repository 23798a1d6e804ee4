import { join } from 'node:path'
import { protocol } from '@electric-sql/pglite'
import { expect, test } from '@jest/globals'
import { startQueryProcess } from '../../../src/storage/sql/query-process.js'
import { embeddedFolder } from '../../servers/stores.js'

test('an answer that is too large is not sent by the process that computes it', async () => {
  const folder = embeddedFolder('empty')
  const process = startQueryProcess(join(folder.path, 'db'), 2_000)
  await process.waitReady
  const small = await process.execProtocolStream(protocol.serialize.query("select repeat('x', 1000)"))
  expect(small.map(({ name }) => name)).toContain('dataRow')
  void process.execProtocolStream(protocol.serialize.query("select repeat('x', 3000)"))
  await expect(process.ended).rejects.toThrow(/the answer has more than/)
  folder.remove()
})
