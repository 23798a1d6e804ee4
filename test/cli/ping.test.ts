import { expect, test } from '@jest/globals'
import { embeddedFolder } from '../servers/stores.js'
import { tallyman } from '../servers/tallyman.js'

test.each([['--print'], ['--send']])(
  'ping %s before the first summary says why the inventory is -1',
  async (option) => {
    const folder = embeddedFolder()
    const environment = { TALLYMAN_DATA_DIR: folder.path }
    const first = await tallyman(environment, 'ping', option)
    expect(JSON.parse(first.out)).toMatchObject({ counts: { inventory_blobs: -1 } })
    expect(first.err).toMatch(/^note: no summary has been made yet: tallyman inventory refresh\n/)
    await tallyman(environment, 'inventory', 'refresh')
    const second = await tallyman(environment, 'ping', option)
    expect(JSON.parse(second.out)).toMatchObject({ counts: { inventory_blobs: 0 } })
    expect(second.err).not.toContain('no summary')
    folder.remove()
  },
)
