/** HTTP/1.1 over a raw socket, as little work as can be: the machine has few cores, and they belong to what is measured. */
import { connect, type Socket } from 'node:net'

/** The text of a POST of notifications. @param keepAlive without it, the server closes the connection after its answer */
export const postText = (
  { port, path, token, keepAlive }: { port: number; path: string; token: string; keepAlive: boolean },
  events: readonly object[],
): string => {
  const body = JSON.stringify({ events }, null, 3)
  return [
    `POST ${path} HTTP/1.1`,
    `Host: 127.0.0.1:${port}`,
    'User-Agent: Go-http-client/1.1',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Authorization: Bearer ${token}`,
    'Content-Type: application/vnd.docker.distribution.events.v1+json',
    ...(keepAlive ? [] : ['Connection: close']),
    '',
    body,
  ].join('\r\n')
}

export const openConnection = async (port: number): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true }, () => {
      resolve(socket)
    })
    socket.once('error', reject)
  })

const isWhole = (answer: string): boolean => {
  const start = answer.indexOf('\r\n\r\n')
  return start > 0 && answer.length - start - 4 >= Number(/content-length: (\d+)/i.exec(answer)?.[1])
}

/** Sends one request. @returns the whole answer @throws if the connection ends before it */
export const exchange = async (socket: Socket, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    // The server may have closed a connection that was idle.
    if (socket.destroyed) {
      reject(new Error('closed before the request'))
      return
    }
    let answer = ''
    const onData = (chunk: Buffer): void => {
      answer += chunk.toString('latin1')
      if (!isWhole(answer)) return
      socket.off('data', onData).off('error', reject).off('close', onClose)
      resolve(answer)
    }
    const onClose = (): void => {
      reject(new Error('closed before an answer'))
    }
    socket.on('data', onData).once('error', reject).once('close', onClose)
    socket.write(text)
  })
