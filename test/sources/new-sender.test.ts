import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { machineClock } from '../servers/clock.js'
import { eventually, inherited, temporaryFolder } from '../servers/process.js'
import { NOTIFICATION_TOKEN, ROOT, startService, type Service } from '../servers/service.js'

/** What CONTRIBUTING.md calls a sender, in one file: a list of texts such as `push team/app:1.0 by alice`, and `get …` for a request alone. */
const SENDER = `
import { identityOfContents } from '../../events/event-id.js'
import { isDigest, isRepositoryPath, isTag } from '../../events/reference.js'
import type { ReportedItem } from '../../events/reported-item.js'
import { NotADelivery, type Sender } from '../sender.js'

const parsed = (body: Buffer): unknown => {
  try {
    return JSON.parse(body.toString())
  } catch {
    return undefined
  }
}

export const madeUp: Sender = {
  paths: ['/events/made-up'],
  verify: (headers, find) => find(String(headers['x-made-up-token'] ?? '') || undefined),
  read: ({ body, headers, now }) => {
    const lines = parsed(body)
    if (!Array.isArray(lines)) throw new NotADelivery('the body is no list in JSON')
    return lines.map((line): ReportedItem => {
      const id = identityOfContents([headers['x-made-up-delivery'], line])
      const [, action, repository = '', tag = '', name = ''] = /^(push|pull|get) (.+):(.+) by (.+)$/.exec(String(line)) ?? []
      if (line === 'ping') return { ...id, ignored: 'unrelated_event' }
      const digest = 'sha256:' + '5'.repeat(64)
      if (!isRepositoryPath(repository) || !isTag(tag) || !isDigest(digest) || (action !== 'push' && action !== 'pull' && action !== 'get'))
        return { ...id, unreadable: 'bad_repository', detail: 'the line has another form', excerpt: '{}' }
      if (action === 'get')
        return {
          ...id,
          ...{ source: 'made-up', requester: { address: name, userAgent: 'Podman/5.0' }, host: 'made-up.example' },
          ...{ at: now, repository, tag, digest, object: 'manifest', method: 'GET', status: 200 },
        }
      return {
        ...id,
        ...{ at: now, action, repository, tag, digest, method: 'GET', object: 'manifest' },
        ...{ host: 'made-up.example', actor: { name, type: 'gitlab_or_ldap' }, address: '192.0.2.7', userAgent: 'containerd/1.7.0' },
      }
    })
  },
}
`

const folder = temporaryFolder('new-sender')
let service: Service
beforeAll(async () => {
  const copy = join(folder.path, 'copy')
  for (const part of ['src', 'definitions', 'metrics', 'package.json']) {
    cpSync(join(ROOT, part), join(copy, part), { recursive: true })
  }
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'))
  // One folder, and one line in the list of senders (with its import).
  mkdirSync(join(copy, 'src', 'sources', 'made-up'))
  writeFileSync(join(copy, 'src', 'sources', 'made-up', 'sender.ts'), SENDER)
  const list = join(copy, 'src', 'sources', 'senders.ts')
  const more = `import { madeUp } from './made-up/sender.js'\n${readFileSync(list, 'utf8').replace('[distribution]', '[distribution, madeUp]')}`
  writeFileSync(list, more)
  // One more line for a sender that reports requests.
  const sources = join(copy, 'src', 'events', 'registry-request.ts')
  writeFileSync(sources, readFileSync(sources, 'utf8').replace("['notification']", "['notification', 'made-up']"))
  const script = `
    const { bundle } = await import(${JSON.stringify(join(ROOT, 'scripts', 'build.mjs'))})
    const files = ['src/main.ts', 'src/users/user-file-thread.ts'].map((file) => ${JSON.stringify(`${copy}/`)} + file)
    await bundle(files, ${JSON.stringify(join(copy, 'dist'))})
  `
  const built = spawnSync(process.execPath, ['--input-type=module', '--eval', script], { env: inherited() })
  if (built.status !== 0) throw new Error(built.stderr.toString())
  service = await startService(join(folder.path, 'data'), { TALLYMAN_PULLS_LEAST_PULLERS: '0' }, [
    process.execPath,
    join(copy, 'dist', 'main.js'),
    'serve',
  ])
})
afterAll(async () => {
  await service.process.end('SIGKILL')
  folder.remove()
})

const send = async (
  body: unknown,
  headers: Record<string, string> = {},
): Promise<{ status: number; answer: unknown }> => {
  const response = await fetch(`${service.url}/events/made-up`, {
    method: 'POST',
    headers: { 'x-made-up-token': NOTIFICATION_TOKEN, ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, answer: await response.json() }
}

test('a sender in a folder of its own and one line counts users, fills the inventory, and makes pulls', async () => {
  const lines = ['push team/app:1.0 by alice', 'pull team/app:1.0 by bob', 'ping', 'push TEAM by alice']
  const reported = { recorded: 2, repeated: 0, skipped: { unrelated_event: 1, bad_repository: 1 } }
  expect(await send('no list')).toMatchObject({ status: 400 })
  expect(await send(lines)).toEqual({ status: 200, answer: reported })
  expect(await send(lines)).toEqual({ status: 200, answer: { recorded: 0, repeated: 4, skipped: {} } })
  expect(await send(lines, { 'x-made-up-delivery': 'another' })).toEqual({ status: 200, answer: reported })

  const pushers = Object.entries(await service.counters()).filter(([key]) => key.includes('push_tag_user'))
  expect(pushers.map(([, count]) => count)).toEqual([1, 1])
  const tags = (await (await service.get('/inventory/tags?repository=team/app')).json()) as { items: object[] }
  expect(tags.items).toMatchObject([{ registry: 'made-up.example', tag: '1.0' }])
  const day = (days: number): string =>
    new Date(machineClock().getTime() + days * 86_400_000).toISOString().slice(0, 10)
  const query = `/pulls?group_by=source,client&since=${day(-2)}&until=${day(1)}`
  await eventually('the pull is there', async () => {
    const { rows } = (await (await service.get(query)).json()) as { rows: Record<string, unknown>[] }
    return rows.some(({ source, client, pulls }) => source === 'notification' && client === 'containerd' && pulls === 2)
  })
  const metrics = await (await service.get('/metrics')).text()
  expect(metrics).toContain('tallyman_events_total{action="ignored",outcome="unrelated_event"} 2')
})

test('a request that it reports becomes a pull of its source, and nothing else', async () => {
  const before = await service.counters()
  expect(await send(['get team/tools:2.0 by 192.0.2.9'])).toEqual({
    status: 200,
    answer: { recorded: 1, repeated: 0, skipped: {} },
  })
  expect((await send(['get team/tools:2.0 by 192.0.2.9'])).answer).toMatchObject({ repeated: 1 })
  const day = (days: number): string =>
    new Date(machineClock().getTime() + days * 86_400_000).toISOString().slice(0, 10)
  await eventually('the pull is there', async () => {
    const query = `/pulls?group_by=source,registry,client&since=${day(-2)}&until=${day(1)}`
    const { rows } = (await (await service.get(query)).json()) as { rows: Record<string, unknown>[] }
    return rows.some(
      ({ source, registry, client, pulls }) =>
        [source, registry, client].join(' ') === 'made-up made-up.example Podman' && pulls === 1,
    )
  })
  expect(await service.counters()).toEqual(before)
  const tags = (await (await service.get('/inventory/tags?repository=team/tools')).json()) as { items: object[] }
  expect(tags.items).toEqual([])
  const metrics = await (await service.get('/metrics')).text()
  expect(metrics).toContain('tallyman_events_total{action="request",outcome="recorded"} 1')
})

test('what it cannot verify or read is refused', async () => {
  expect(await send([], { 'x-made-up-token': '' })).toMatchObject({ status: 401 })
  expect(await send([], { 'x-made-up-token': 'wrong' })).toMatchObject({ status: 401 })
  expect(await send({})).toEqual({ status: 400, answer: { message: '400 Bad Request: the body is no list in JSON' } })
  // Its own path, its own way to send the token.
  expect(
    (await service.notify({ events: [] }, { authorization: '', 'x-made-up-token': NOTIFICATION_TOKEN })).status,
  ).toBe(401)
})
