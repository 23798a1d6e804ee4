import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { welcome } from '../../src/cli/welcome.js'
import { readConfig } from '../../src/config/config.js'
import { createCore } from '../../src/service/core.js'
import { markShown } from '../../src/config/secrets.js'
import { fixedClock } from '../servers/clock.js'
import { ROOT } from '../servers/service.js'
import { embeddedFolder } from '../servers/stores.js'

const ADDRESS = 'http://127.0.0.1:3000'

describe('what a start prints', () => {
  let folder: ReturnType<typeof embeddedFolder>
  beforeEach(() => {
    folder = embeddedFolder()
  })
  afterEach(() => {
    folder.remove()
  })
  const start = async (
    environment: Record<string, string> = {},
    { address = ADDRESS, hasEvents = false } = {},
  ): Promise<string> => {
    const config = readConfig({ TALLYMAN_DATA_DIR: folder.path, ...environment }, ROOT)
    const core = await createCore(config, fixedClock)
    await core.stores.close()
    markShown(folder.path, core.secrets.unshown)
    return welcome(core, { address, hasEvents })
  }
  const kept = (file: string): string => readFileSync(join(folder.path, file), 'utf8').trim()

  test('the first one prints the tokens that it made, the later ones say where they are', async () => {
    const first = await start()
    const [notification, api] = [kept('notification.token'), kept('api.token')]
    expect(first).toContain(`notification token  ${notification}   (created now, shown once; stored in ${folder.path}`)
    expect(first).toContain(`API token           ${api}   (created now, shown once; stored in ${folder.path}`)
    expect(first).toContain(`headers: { Authorization: [Bearer ${notification}] }`)
    expect(first).not.toContain(kept('users.key'))

    const second = await start()
    expect(second).toContain(`notification token  see ${join(folder.path, 'notification.token')}`)
    expect(second).toContain(`API token           see ${join(folder.path, 'api.token')}`)
    for (const secret of [notification, api, kept('users.key')]) expect(second).not.toContain(secret)
  })

  test('the example of a push is printed until a notification has come', async () => {
    expect(await start()).toContain('\n\nTry it: this counts one push')
    const later = await start({}, { hasEvents: true })
    expect(later).not.toMatch(/Try it|curl/)
    expect(later).toContain('notification_tokens in docs/operations.md')
  })

  test('its example of a push names a registry', async () => {
    expect(await start()).toContain('"request":{"host":"registry.example.com"}')
  })

  test('configured tokens are never printed, and none are made beside them', async () => {
    const text = await start({
      TALLYMAN_NOTIFICATION_TOKENS: 'for-registries',
      TALLYMAN_API_TOKENS: 'for-people',
      TALLYMAN_USERS_KEY: 'a key of our own',
    })
    expect(text.match(/as configured/g)).toHaveLength(2)
    expect(text).not.toMatch(/for-registries|for-people|a key of our own/)
    expect(readdirSync(folder.path).filter((file) => /\.(token|key)$/.test(file))).toEqual([])
  })

  test.each(['http://0.0.0.0:3000', 'http://[::]:3000'])(
    'if it listens on all addresses (%s), the URL for a registry has the host name',
    async (address) => {
      const text = await start({ TALLYMAN_HOSTNAME: 'tallyman.example' }, { address })
      expect(text).toContain('url: http://tallyman.example:3000/container_registry_event/events')
      expect(text).toContain('curl -X POST http://tallyman.example:3000/container_registry_event/events')
    },
  )

  test('it names the registries that send what is read here, and no others', async () => {
    const text = await start()
    expect(text).toContain("Connect a registry (CNCF distribution, GitLab's): add to its configuration")
    expect(text).not.toMatch(/Harbor|zot/)
  })
})
