import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from '@jest/globals'
import { temporaryFolder } from '../servers/process.js'
import { openServers } from '../servers/stores.js'
import { tallyman } from '../servers/tallyman.js'

test('a command in another folder than the service is refused, and leaves neither keys nor tokens there', async () => {
  const servers = await openServers()
  const [first, other] = [temporaryFolder('first'), temporaryFolder('other')]
  const status = async (directory: string): ReturnType<typeof tallyman> =>
    tallyman({ ...servers.environment, TALLYMAN_DATA_DIR: directory }, 'status')
  expect((await status(first.path)).err).toBe('')
  expect(readdirSync(first.path)).toContain('users.key')
  const { code, err } = await status(join(other.path, 'data'))
  expect([code, err]).toEqual([1, expect.stringMatching(/^tallyman: users were counted with another key/)])
  expect(existsSync(join(other.path, 'data'))).toBe(false)
  first.remove()
  other.remove()
  await servers.close()
})
