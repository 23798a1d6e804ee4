import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { expect, test } from '@jest/globals'
import { CommandError, explain } from '../../src/cli/terminal/failure.js'
import { checkListen, listen } from '../../src/cli/listen.js'

const refusal = async (host: string, port: number): Promise<string> => {
  const error: unknown = await listen(createServer(), { host, port }).catch((reason: unknown) => reason)
  expect(error).toBeInstanceOf(CommandError)
  return explain(error)
}

test('a server listens on a port that the system chooses', async () => {
  const http = createServer()
  expect(await listen(http, { host: '127.0.0.1', port: 0 })).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/)
  http.close()
})

test.each([
  ['192.0.2.1', '192.0.2.1', /no network interface of this machine has this address \(EADDRNOTAVAIL\)/],
  ['2001:db8::1', '[2001:db8::1]', /\((EADDRNOTAVAIL|EAFNOSUPPORT)\)/],
  ['nowhere.invalid', 'nowhere.invalid', /the host name .*\((ENOTFOUND|EAI_AGAIN)\)/],
])(
  '%s is one sentence with the address and the settings, and not a failure of a store',
  async (host, shown, reason) => {
    const message = await refusal(host, 3000)
    expect(message).toMatch(reason)
    expect(message.startsWith(`tallyman: cannot listen on ${shown}:3000: `)).toBe(true)
    expect(message).toMatch(
      /; choose another address with --listen, TALLYMAN_LISTEN or "listen" in the configuration file$/,
    )
  },
)

test('an address that was only checked is free afterwards', async () => {
  const [first, http] = [createServer(), createServer()]
  await listen(first, { host: '127.0.0.1', port: 0 })
  const { port } = first.address() as AddressInfo
  await expect(checkListen({ host: '127.0.0.1', port })).rejects.toThrow(CommandError)
  await new Promise((resolve) => first.close(resolve))
  await checkListen({ host: '127.0.0.1', port })
  await listen(http, { host: '127.0.0.1', port })
  http.close()
})

test('so is an address in use', async () => {
  const other = createServer()
  await listen(other, { host: '127.0.0.1', port: 0 })
  const { port } = other.address() as AddressInfo
  expect(await refusal('127.0.0.1', port)).toMatch(
    new RegExp(
      `^tallyman: cannot listen on 127\\.0\\.0\\.1:${port}: another program listens there; .*\\(EADDRINUSE\\)`,
    ),
  )
  other.close()
})

test('so is any other error of the system', async () => {
  const http = createServer()
  http.listen = () => {
    throw Object.assign(new Error('listen EACCES'), { code: 'EACCES' })
  }
  await expect(listen(http, { host: '0.0.0.0', port: 80 })).rejects.toThrow(
    'cannot listen on 0.0.0.0:80: permission denied; ports below 1024 need a privilege (EACCES); choose another address',
  )
})
