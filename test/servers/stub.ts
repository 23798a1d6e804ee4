import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export type StubRequest = { method: string; path: string; headers: IncomingMessage['headers']; body: string }
export type Stub = {
  url: string
  /** What was asked so far, in order. */
  requests: StubRequest[]
  stop: () => Promise<void>
}

/** A server for what cannot run here (GitLab, the destination of pings): `answer` says what it does. */
export const startStub = async (answer: (request: StubRequest, response: ServerResponse) => unknown): Promise<Stub> => {
  const requests: StubRequest[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const { method = '', url = '', headers } = request
      const seen = { method, path: url, headers, body: Buffer.concat(chunks).toString('utf8') }
      requests.push(seen)
      answer(seen, response)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    stop: async () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => {
          resolve()
        })
      }),
  }
}
