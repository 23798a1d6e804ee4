import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { machineClock } from '../servers/clock.js'
import { notified } from '../servers/app.js'
import { API_TOKEN, startService, type Service } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'
import { tallyman } from '../servers/tallyman.js'

describe('tallyman status, of a service that was set up in a hurry', () => {
  const folder = embeddedFolder()
  const environment = { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_API_TOKENS: API_TOKEN }
  let service: Service
  beforeAll(async () => {
    writeFileSync(join(folder.path, 'notification.token'), `tm${'0123456789'.repeat(4)}\n`)
    service = await startService(folder.path, { ...environment, TALLYMAN_PINGURL: 'https://pings.example/secret' })
  })
  afterAll(async () => {
    await service.process.end('SIGTERM')
    folder.remove()
  })

  test('names variables that are no settings, and a made token that is refused; so does the start', async () => {
    const { out } = await tallyman(environment, 'status')
    expect(out).toContain(
      'warning: TALLYMAN_PINGURL is not a setting and has no effect: did you mean TALLYMAN_PING_URL?\n',
    )
    expect(out).toMatch(
      /warning: the token in \S+notification\.token is refused, because notification_tokens does not contain it/,
    )
    const started = service.process.output()
    expect(started).toMatch(/^tallyman: warning: TALLYMAN_PINGURL is not a setting/m)
    expect(started.match(/"warning":"the token in \S+notification\.token is refused/g)).toHaveLength(1)
    expect(out + started).not.toMatch(/secret|tm0123456789abcdef/)
  })

  test('says why events count for no user', async () => {
    const timestamp = machineClock().toISOString()
    expect((await tallyman(environment, 'status')).out).not.toContain('for no user')
    await service.notify({ events: [notified({ timestamp, actor: {} }), notified({ timestamp })] })
    const { out } = await tallyman(environment, 'status')
    expect(out).toContain('\n  1 events count in totals and for no user: the registry did not report who it was.\n')
    const json = JSON.parse((await tallyman(environment, 'status', '--json')).out) as unknown
    expect(json).toMatchObject({ eventsWithoutUser: 1 })
  })
})
