import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { startDockerRegistry, type DockerRegistry } from '../servers/docker-registry.js'
import { API_TOKEN, startService } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'
import { spawnTallyman, tallyman as runTallyman, type Result } from '../servers/tallyman.js'

describe('tallyman inventory reconcile', () => {
  const folder = embeddedFolder()
  let registry: DockerRegistry
  let registries: Record<string, string>

  beforeAll(async () => {
    registry = await startDockerRegistry({ open: true })
    registries = { TALLYMAN_REGISTRIES: JSON.stringify({ [registry.host]: { url: `http://${registry.host}` } }) }
    await registry.copy('layout:one', 'registry:team/app:1.0', 'nobody', '--format', 'v2s2')
  })
  afterAll(async () => {
    await registry.stop()
    folder.remove()
  })

  const tallyman = async (args: string[], environment = registries, run = runTallyman): Promise<Result> =>
    run(
      { TALLYMAN_DATA_DIR: folder.path, TALLYMAN_API_TOKENS: API_TOKEN, ...environment },
      ...['inventory', 'reconcile', ...args],
    )

  test('says how to configure a registry when there is none to ask', async () => {
    const { code, err } = await tallyman([], {})
    expect(code).toBe(1)
    expect(err).toContain('no registry has an address; add one to the configuration')
  })

  test('names those that can be read, and what is wrong with a rate', async () => {
    expect((await tallyman(['--registry', 'nobody.example'])).err).toContain(
      `the registries with one are ${registry.host}`,
    )
    expect((await tallyman(['--rate', 'fast'])).err).toContain('expected 0.1 to 1000')
  })

  test('shows drift with exit code 2, repairs it, and then finds none', async () => {
    const shown = await tallyman([], registries, spawnTallyman)
    expect(shown.code).toBe(2)
    expect(shown.out).toMatch(/1 repositories, 1 tags, 1 manifests, 3 blobs/)
    expect(shown.out).toMatch(/team\/app +missing +tag +1\.0/)
    expect(shown.out).toContain(
      `to repair the inventory: tallyman inventory reconcile --registry ${registry.host} --apply`,
    )

    const applied = await tallyman(['--apply'])
    expect(applied.code).toBe(0)
    expect(applied.out).toContain('the inventory was repaired')
    const again = await tallyman([])
    expect(again.code).toBe(0)
    expect(again.out).toContain('no drift')
  })

  test('is done by the service if that has the database open', async () => {
    await registry.copy('layout:two', 'registry:team/app:2.0', 'nobody', '--format', 'v2s2')
    const service = await startService(folder.path, registries)
    try {
      const { code, out } = await tallyman(['--json'])
      expect(code).toBe(2)
      expect(JSON.parse(out)).toMatchObject([
        { registry: registry.host, applied: false, drift: { missing: 4, stale: 0, different: 0 }, failed: 0 },
      ])
      expect((await tallyman(['--apply'])).code).toBe(0)
      expect((await tallyman([])).out).toContain('no drift')
      expect((await tallyman(['--registry', 'x'])).err).toContain('404 Not Found: x is not a registry with a "url"')
    } finally {
      await service.process.end('SIGTERM')
    }
  })

  test('continues after a registry that fails, directly and in the service', async () => {
    const url = `http://${registry.host}`
    const both = { 'away.example': { url: 'http://127.0.0.1:1' }, [registry.host]: { url } }
    const environment = { TALLYMAN_REGISTRIES: JSON.stringify(both) }
    const expectBoth = ({ code, out, err }: Result): void => {
      expect(code).toBe(1)
      expect(JSON.parse(out)).toMatchObject([{ registry: registry.host }])
      expect(err).toMatch(/not reconciled: away\.example: .*127\.0\.0\.1:1 cannot be reached/)
    }
    expectBoth(await tallyman(['--json'], environment))
    const service = await startService(folder.path, environment)
    try {
      expectBoth(await tallyman(['--json'], environment))
    } finally {
      await service.process.end('SIGTERM')
    }
  })

  test('names a registry that is unavailable', async () => {
    const away = JSON.stringify({ 'away.example': { url: 'http://127.0.0.1:1' } })
    const { code, err } = await tallyman([], { TALLYMAN_REGISTRIES: away })
    expect(code).toBe(1)
    expect(err).toContain('127.0.0.1:1 cannot be reached')
  })
})
