import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Config } from '../config/config.js'
import { CommandError } from './terminal/failure.js'

/** The meaning of the operating system's error codes for an address to listen on. */
const MEANINGS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there; stop it if it should not',
  EADDRNOTAVAIL: 'no network interface of this machine has this address',
  EACCES: 'permission denied; ports below 1024 need a privilege',
  EPERM: 'the operating system does not permit it',
  ENOTFOUND: 'the host name has no address',
  EAI_AGAIN: 'the host name cannot be looked up now, as the name server does not answer',
  EAFNOSUPPORT: 'this machine has no addresses of this kind',
  EINVAL: 'the address is not valid; a link-local address needs its interface, for example fe80::1%eth0',
}

/**
 * Lets a server listen.
 * @returns the address as a URL, with the port that was chosen for port 0
 * @throws CommandError that contains the address, the reason, and the settings that change it
 */
export const listen = async (http: Server, { host, port }: Config['listen']): Promise<string> => {
  try {
    await new Promise<void>((resolve, reject) => {
      http.once('error', reject)
      http.listen(port, host, resolve)
    })
  } catch (error) {
    throw new CommandError(
      `cannot listen on ${hostInUrl(host)}:${port}: ${reasonOf(error)}; choose another address with --listen, ` +
        'TALLYMAN_LISTEN or "listen" in the configuration file',
    )
  }
  const { address, port: chosen } = http.address() as AddressInfo
  return `http://${hostInUrl(address)}:${chosen}`
}

/** Checks that a server can listen on an address, and frees the address. @throws CommandError like `listen` */
export const checkListen = async (address: Config['listen']): Promise<void> => {
  const probe = createServer()
  await listen(probe, address)
  await new Promise((resolve) => probe.close(resolve))
}

const hostInUrl = (host: string): string => (host.includes(':') ? `[${host}]` : host)

const reasonOf = (error: unknown): string => {
  const { code, message } = error as NodeJS.ErrnoException
  const meaning = MEANINGS[code ?? '']
  return meaning === undefined ? message : `${meaning} (${code})`
}
