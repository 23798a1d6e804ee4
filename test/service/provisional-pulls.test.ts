import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { PullsAnswer } from '../../src/pulls/query/query-pulls.js'
import { machineClock } from '../servers/clock.js'
import { startPostgres } from '../servers/postgres.js'
import { eventually } from '../servers/process.js'
import { startRedis } from '../servers/redis.js'
import { startService, type Service } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'
import { notified } from '../servers/app.js'

/** As people run it: with the usual lateness, and where it may be with two processes on one database. */
describe.each([
  ['PostgreSQL, by two processes', true],
  ['the embedded database', false],
])('a pull on %s', (_, isPostgres) => {
  const folders = [embeddedFolder(), embeddedFolder()]
  const closing: (() => Promise<void>)[] = []
  const services: Service[] = []

  beforeAll(async () => {
    const environment: Record<string, string> = { TALLYMAN_USERS_KEY: 'one key for both processes, of 32 characters' }
    if (isPostgres) {
      const [redis, postgres] = await Promise.all([startRedis(), startPostgres()])
      closing.push(
        async () => redis.stop(),
        async () => postgres.stop(),
      )
      Object.assign(environment, { REDIS_URL: redis.url, DATABASE_URL: postgres.url })
    }
    for (const { path } of isPostgres ? folders : folders.slice(0, 1))
      services.push(await startService(path, environment))
  })
  afterAll(async () => {
    for (const { process } of services) await process.end('SIGTERM')
    for (const close of closing) await close()
    for (const folder of folders) folder.remove()
  })

  test('is shown long before it is settled, by every process, in every format', async () => {
    const target = {
      ...{ repository: 'team/app', tag: '1.0', digest: `sha256:${'a'.repeat(64)}` },
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
    }
    for (const [i, service] of services.entries()) {
      const request = {
        id: `r${i}`,
        addr: `192.0.2.${i}:1`,
        host: 'registry.example',
        method: 'GET',
        useragent: 'curl/8',
      }
      const { status } = await service.notify({
        events: [notified({ timestamp: machineClock().toISOString(), action: 'pull', target, request })],
      })
      expect(status).toBe(200)
    }
    const day = (days: number): string =>
      new Date(machineClock().getTime() + days * 86_400_000).toISOString().slice(0, 10)
    const query = `/pulls?measures=pulls&since=${day(-1)}&until=${day(1)}`
    for (const service of services) {
      const ask = async (): Promise<PullsAnswer> => (await (await service.get(query)).json()) as PullsAnswer
      await eventually('the pulls are shown', async () => (await ask()).total.pulls === services.length, 120)
      const answer = await ask()
      expect(answer.provisional).toMatchObject({ pulls: services.length })
      expect(answer.notes).toContainEqual(expect.stringContaining('are provisional'))
      for (const format of ['csv', 'ndjson']) {
        const other = await service.get(`${query}&format=${format}`)
        expect(other.headers.get('tallyman-provisional-since')).toBe(answer.provisional?.since)
        expect(await other.text()).toMatch(new RegExp(`(^|:|\\n)${services.length}[}\\r\\n]`))
      }
      const pullers = (await (await service.get(`/pulls/pullers?since=${day(-1)}&until=${day(1)}`)).json()) as object
      expect(pullers).toMatchObject({ pulls: services.length, provisional: { pulls: services.length } })
      const lines = (await (await service.get('/requests')).text()).trim()
      expect(lines).toBe('')
    }
  })
})
