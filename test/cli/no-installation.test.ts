import { readdirSync } from 'node:fs'
import { afterAll, expect, test } from '@jest/globals'
import { temporaryFolder } from '../servers/process.js'
import { tallyman } from '../servers/tallyman.js'

const folder = temporaryFolder('no-installation')
afterAll(() => {
  folder.remove()
})

test.each([
  [['status']],
  [['registries']],
  [['counters', 'list']],
  [['inventory', 'totals']],
  [['pulls']],
  [['pulls', 'forget', '--repository', 'team/app']],
  [['inventory', 'refresh']],
])('%j is refused where there is no installation, and creates none', async (args) => {
  const { code, out, err } = await tallyman({ TALLYMAN_DATA_DIR: folder.path }, ...args)
  expect([code, out]).toEqual([1, ''])
  expect(err).toMatch(/^tallyman: there is no installation in \S+: run the command in the folder of the service, /)
  expect(readdirSync(folder.path)).toEqual([])
})
