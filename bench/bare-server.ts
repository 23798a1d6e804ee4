/** The limit for a receiver on node:http: reads the body, parses it, answers as Tallyman does, and stores nothing. */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

const server = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const { events } = JSON.parse(Buffer.concat(chunks).toString()) as { events: unknown[] }
    const text = JSON.stringify({ recorded: events.length, repeated: 0, skipped: {} })
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
    response.end(text)
  })
})
server.listen(0, '127.0.0.1', () => {
  console.log(`listens on ${(server.address() as AddressInfo).port}`)
})
