import { chmodSync, mkdirSync, readdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { machineClock } from '../servers/clock.js'
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

describe('an installation that this user cannot look at is not taken for a missing one', () => {
  test('whatever the reason', async () => {
    const circle = join(folder.path, 'circle')
    symlinkSync('circle', circle)
    const { code, err } = await tallyman({ TALLYMAN_DATA_DIR: circle }, 'status')
    expect(code).toBe(1)
    expect(err).toMatch(/^tallyman: \S+circle\/db cannot be used: .*\(ELOOP\)\n$/)
  })

  test('and for a directory of another user the message says who can', async () => {
    const closed = join(folder.path, 'closed')
    mkdirSync(join(closed, 'db'), { recursive: true })
    chmodSync(closed, 0)
    // For root no directory is closed.
    const isRoot = process.geteuid?.() === 0
    if (isRoot) process.seteuid?.(65_534)
    try {
      const { code, err } = await tallyman({ TALLYMAN_DATA_DIR: closed }, 'status')
      expect(code).toBe(1)
      expect(err).toMatch(
        /closed\/db cannot be used: permission denied.*; run the command as the user of the service\n$/,
      )
    } finally {
      if (isRoot) process.seteuid?.(0)
      chmodSync(closed, 0o700)
    }
  })
})

test('a service that cannot be reached is named, and not a store', async () => {
  const directory = join(folder.path, 'unreachable')
  mkdirSync(directory)
  const lock = join(directory, 'tallyman.lock')
  writeFileSync(lock, JSON.stringify({ pid: process.ppid, host: hostname(), listen: 'http://127.0.0.1:1' }))
  // A file is written at the time of the kernel, whatever the clock of the test.
  const heartbeat = machineClock()
  utimesSync(lock, heartbeat, heartbeat)
  const { code, err } = await tallyman(
    { TALLYMAN_DATA_DIR: directory, TALLYMAN_API_TOKENS: 'a-token-to-ask' },
    'status',
  )
  expect(code).toBe(1)
  expect(err).toMatch(/^tallyman: the service that uses \S+unreachable cannot be reached at http:\/\/127\.0\.0\.1:1 \(/)
  expect(err).not.toContain('DATABASE_URL')
})
