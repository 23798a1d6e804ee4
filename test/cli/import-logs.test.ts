import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { temporaryFolder } from '../servers/process.js'
import { embeddedFolder } from '../servers/stores.js'
import { tallyman } from '../servers/tallyman.js'

const line = (second: number): string =>
  `203.0.113.7 - - [11/Nov/2020:10:00:${String(second).padStart(2, '0')} +0000] "GET /v2/team/app/manifests/1.${second} HTTP/1.1" 200 400 "" "docker/24.0"\n`

describe('tallyman import', () => {
  const data = embeddedFolder()
  const logs = temporaryFolder('logs')
  const env = { TALLYMAN_DATA_DIR: data.path }
  const path = join(logs.path, 'access.log')
  beforeAll(() => {
    writeFileSync(path, [1, 2, 3].map(line).join(''))
  })
  afterAll(() => {
    data.remove()
    logs.remove()
  })
  const imported = async (...args: string[]): ReturnType<typeof tallyman> =>
    tallyman(env, 'import', '--registry', 'registry.example.com', ...args)

  test('counts pulls of a file once, and shows what its lines were', async () => {
    const { code, out } = await imported(path)
    expect(code).toBe(0)
    expect(out).toMatch(/manifest +3 +a client requested a manifest/)
    const again = await imported(path, '--json')
    expect(JSON.parse(again.out)).toEqual([{ file: path, format: 'combined', before: 3, lines: 0, counts: {} }])
    const pulls = await tallyman(env, 'pulls', '--registry', 'registry.example.com', '--period', '2020-11-11', '--json')
    expect(JSON.parse(pulls.out)).toMatchObject({ rows: [{ pulls: 3 }] })
  })

  test('ends with 3 if a line is unreadable, and with 1 if a file is', async () => {
    writeFileSync(path, [1, 2, 3].map(line).join('') + 'nonsense\n' + line(4))
    const { code, out } = await imported(path, '--json')
    expect(code).toBe(3)
    expect(JSON.parse(out)).toMatchObject([{ before: 3, lines: 2, counts: { unreadable: 1, manifest: 1 } }])
    const other = join(logs.path, 'other.txt')
    writeFileSync(other, 'nonsense\n')
    const refused = await imported(other)
    expect(refused.code).toBe(1)
    expect(refused.err).toContain('is of a known format: give --format with one of')
    expect((await imported(join(logs.path, 'missing.log'))).code).toBe(1)
  })

  test('refuses options that are no name or time zone', async () => {
    const { code, err } = await tallyman(env, 'import', '--registry', 'a b', path)
    expect([code, err]).toEqual([1, expect.stringContaining('--registry: "a b" is not the name of a registry')])
    const zone = await imported(path, '--tz', 'Nowhere')
    expect([zone.code, zone.err]).toEqual([1, expect.stringContaining('--tz: "Nowhere" is no time zone')])
  })
})
