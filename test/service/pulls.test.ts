import { execFile } from 'node:child_process'
import { request } from 'node:http'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { PullsAnswer, PullsRow } from '../../src/pulls/query/query-pulls.js'
import { startDockerRegistry, type DockerRegistry } from '../servers/docker-registry.js'
import { eventually, freePort } from '../servers/process.js'
import { NOTIFICATION_TOKEN, startService, type Service } from '../servers/service.js'
import { embeddedFolder, openServers } from '../servers/stores.js'

const run = promisify(execFile)
const INDEX = 'application/vnd.oci.image.index.v1+json'
const CHECKS = 6
/** Two repositories with an image, three with an index of two. */
const MANIFESTS = 11

describe.each([
  ['PostgreSQL', true],
  ['the embedded database', false],
])('pulls of a real registry, on %s', (_, isPostgres) => {
  const folder = embeddedFolder()
  const closing: (() => Promise<void>)[] = []
  let service: Service
  let registry: DockerRegistry

  beforeAll(async () => {
    const environment: Record<string, string> = {}
    if (isPostgres) {
      const servers = await openServers()
      closing.push(servers.close)
      Object.assign(environment, servers.environment)
    }
    // Each has to know the other's address before it starts.
    const listen = `127.0.0.1:${await freePort()}`
    const endpoint = `http://${listen}/container_registry_event/events`
    registry = await startDockerRegistry({ open: true, notify: { endpoint, token: NOTIFICATION_TOKEN } })
    service = await startService(folder.path, {
      ...environment,
      TALLYMAN_LISTEN: listen,
      TALLYMAN_REGISTRIES: JSON.stringify({ [registry.host]: { url: `http://${registry.host}` } }),
      // The defaults would have the test wait for minutes.
      TALLYMAN_PULLS_JOIN_WINDOW_SECONDS: '5',
      TALLYMAN_PULLS_LATENESS_SECONDS: '2',
    })
  })
  afterAll(async () => {
    await registry.stop()
    await service.process.end('SIGTERM')
    for (const close of closing) await close()
    folder.remove()
  })

  const push = async (image: string, to: string): Promise<void> =>
    registry.copy(`layout:${image}`, `registry:${to}`, 'nobody', '--all')
  const pull = async (from: string, to: string, ...options: string[]): Promise<void> =>
    registry.copy(`registry:${from}`, `oci:${registry.folder}/${to}:x`, 'nobody', ...options)
  const check = async (path: string): Promise<void> =>
    new Promise((resolve, reject) => {
      const headers = { accept: INDEX, 'user-agent': 'curl/7.88.1' }
      const asked = request(`http://${registry.host}/v2/${path}`, { method: 'HEAD', headers }, (response) => {
        response.resume().on('end', resolve)
      })
      asked.on('error', reject).end()
    })
  const ask = async (query: Record<string, string>): Promise<PullsAnswer> => {
    const now = (await registry.now()).getTime()
    const day = (offset: number): string => new Date(now + offset * 86_400_000).toISOString().slice(0, 10)
    const parameters = new URLSearchParams({ since: day(-1), until: day(2), ...query })
    return (await (await service.get(`/pulls?${parameters.toString()}`)).json()) as PullsAnswer
  }

  test('are what skopeo did: an image, an index for one platform and for all, an inspection, and checks', async () => {
    const repositories = ['image', 'one', 'all', 'inspected', 'polled']
    for (const name of repositories)
      await push(name === 'image' || name === 'inspected' ? 'one' : 'both', `team/${name}:1.0`)
    // What a manifest holds is read back from the registry.
    await eventually('all manifests were read', async () => {
      const { items } = (await (await service.get('/inventory/manifests?limit=100')).json()) as { items: unknown[] }
      const { unreadManifests } = (await (await service.get('/status')).json()) as {
        unreadManifests: { waiting: number }
      }
      return items.length >= MANIFESTS && unreadManifests.waiting === 0
    })

    await pull('team/image:1.0', 'image')
    await pull('team/one:1.0', 'one')
    await pull('team/all:1.0', 'all', '--all')
    await run('skopeo', ['inspect', '--tls-verify=false', `docker://${registry.host}/team/inspected:1.0`])
    // A HEAD by tag always begins an invocation, however soon it follows the last one.
    for (let i = 0; i < CHECKS; i++) await check('team/polled/manifests/1.0')

    const measures = 'invocations,pulls,checks,downloads_confirmed,manifest_only_pulls,platform_pulls,unique_origins'
    const byRepository = async (): Promise<Record<string, PullsRow>> => {
      const { rows } = await ask({ measures, group_by: 'repository,platform,client' })
      const pulled = rows.filter(({ pulls = 0, client }) => pulls > 0 || client === 'curl')
      return Object.fromEntries(pulled.map(({ repository = '', ...row }) => [repository, row]))
    }
    await eventually('all is settled', async () => {
      const { provisional, total } = await ask({ measures, repository: 'team/polled' })
      return provisional === undefined && total.checks === CHECKS
    })

    const skopeo = { client: 'skopeo', invocations: 1, pulls: 1, checks: 0, unique_origins: 1 }
    expect(await byRepository()).toEqual({
      'team/image': {
        ...skopeo,
        platform: 'linux/amd64',
        platform_pulls: 1,
        downloads_confirmed: 1,
        manifest_only_pulls: 0,
      },
      'team/one': {
        ...skopeo,
        platform: 'linux/amd64',
        platform_pulls: 1,
        downloads_confirmed: 1,
        manifest_only_pulls: 0,
      },
      'team/all': { ...skopeo, platform: 'several', platform_pulls: 2, downloads_confirmed: 1, manifest_only_pulls: 0 },
      'team/inspected': {
        ...skopeo,
        platform: 'linux/amd64',
        platform_pulls: 1,
        downloads_confirmed: 0,
        manifest_only_pulls: 1,
      },
      'team/polled': {
        ...{ client: 'curl', platform: 'unknown', platform_pulls: 0, downloads_confirmed: 0, manifest_only_pulls: 0 },
        ...{ invocations: CHECKS, pulls: 0, checks: CHECKS, unique_origins: 0 },
      },
    })
    const { total } = await ask({ measures, kind: 'cli' })
    expect(total.invocations).toBe((total.pulls ?? 0) + (total.checks ?? 0))
    // The image of an index, once and twice.
    const { joins } = (await (await service.get('/status')).json()) as { joins: { joined: number } }
    expect(joins.joined).toBeGreaterThanOrEqual(3)
  })
})
