import { connect, createServer, type AddressInfo, type Socket } from 'node:net'

export type TcpProxy = {
  port: number
  /** From now on the connections there are stay open and carry nothing, as behind a firewall that forgot them; new ones work. */
  forgetConnections: () => void
  /** New connections go to another port. */
  redirect: (port: number) => void
  /** How many connections were made so far. */
  connections: () => number
  stop: () => Promise<void>
}

/** Stands between a client and a server on 127.0.0.1. */
export const startTcpProxy = async (to: number): Promise<TcpProxy> => {
  const sockets: Socket[] = []
  const forgotten = new Set<Socket>()
  let target = to
  const server = createServer((client) => {
    const upstream = connect(target, '127.0.0.1')
    for (const [from, into] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.push(from)
      from.on('data', (bytes) => {
        if (!forgotten.has(from)) into.write(bytes)
      })
      from.on('error', () => undefined)
      from.on('close', () => into.destroy())
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    forgetConnections: () => {
      for (const socket of sockets) forgotten.add(socket)
    },
    redirect: (port) => (target = port),
    connections: () => sockets.length / 2,
    stop: async () => {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
