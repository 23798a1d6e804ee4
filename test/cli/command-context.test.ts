import { AsyncLocalStorage } from 'node:async_hooks'
import { expect, jest, test } from '@jest/globals'
import { context, runInContext, type CommandContext } from '../../src/cli/command-context.js'

/** Jest stores contexts of its own. */
const stored = jest.spyOn(AsyncLocalStorage.prototype, 'run')
const isStored = (of: CommandContext): boolean => stored.mock.calls.some(([store]) => store === of)

test('a command in a context of its own sees that context, also after it waited', async () => {
  const own: CommandContext = { env: {}, stdout: process.stdout, stderr: process.stderr }
  const seen = await runInContext(own, async () => {
    await new Promise((resolve) => setImmediate(resolve))
    return context()
  })
  expect(seen).toBe(own)
  expect(isStored(own)).toBe(true)
})

test('a command of the process itself stores nothing: Node.js would then follow every promise of the service', async () => {
  expect(await runInContext(process, async () => Promise.resolve(context()))).toBe(process)
  expect(isStored(process)).toBe(false)
})
