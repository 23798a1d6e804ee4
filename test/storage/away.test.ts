import { readFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { expect, test } from '@jest/globals'
import { isStorageAway } from '../../src/storage/away.js'

const failureOf = async (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error: unknown) => error,
  )

test('a socket that is not there is a store that is away; a file that is not there is not', async () => {
  const connecting = new Promise((resolve, reject) => {
    connect('/nowhere/.s.PGSQL.5432').once('connect', resolve).once('error', reject)
  })
  const [socket, file] = await Promise.all([failureOf(connecting), failureOf(readFile('/nowhere/key.pem'))])
  expect([socket, file]).toMatchObject([{ code: 'ENOENT' }, { code: 'ENOENT' }])
  expect([isStorageAway(socket), isStorageAway(file)]).toEqual([true, false])
})
