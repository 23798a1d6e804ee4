/**
 * Sends notifications as a registry does and prints what it saw as one line of JSON.
 * Usage: load.js '{"port":3000,"token":"…","connections":1,"keepAlive":false,"events":1,"seconds":10}'
 * A raw socket and prepared text: the machine has few cores, and they belong to what is measured.
 */
import { randomUUID } from 'node:crypto'
import { connect, type Socket } from 'node:net'

type Plan = {
  port: number
  path: string
  token: string
  connections: number
  keepAlive: boolean
  /** In one envelope. */
  events: number
  /** Ends after so many, or after so much time. */
  requests: number
  seconds: number
}

const plan = JSON.parse(process.argv[2] ?? '{}') as Plan
const USERS = 1_000
const REPOSITORIES = 100

const latencies: number[] = []
let stored = 0
let failed = 0
let stop = false

const event = (): object => ({
  id: randomUUID(),
  timestamp: new Date().toISOString().replace('Z', '759891Z'),
  action: 'push',
  target: {
    mediaType: 'application/vnd.docker.distribution.manifest.v2+json',
    size: 582,
    digest: `sha256:${randomUUID().replaceAll('-', '')}${randomUUID().replaceAll('-', '')}`,
    length: 582,
    repository: `team/app-${Math.floor(Math.random() * REPOSITORIES)}`,
    url: 'http://127.0.0.1:5700/v2/team/app/manifests/sha256:7216c4a0c7c0e8c3686277aac4b76ae23cc2a76d00fe6bf57661ff7fa5c9dfc4',
    tag: '1.0',
  },
  request: {
    id: randomUUID(),
    addr: '127.0.0.1:34560',
    host: '127.0.0.1:5700',
    method: 'PUT',
    useragent: 'skopeo/1.9.3',
  },
  actor: { name: `user-${Math.floor(Math.random() * USERS)}`, user_type: 'gitlab_or_ldap' },
  source: { addr: 'vm:5700', instanceID: 'cba1c10d-d701-44d3-9da3-9d760abec8d0' },
})

const request = (): string => {
  const body = JSON.stringify({ events: Array.from({ length: plan.events }, event) }, null, 3)
  return [
    `POST ${plan.path} HTTP/1.1`,
    `Host: 127.0.0.1:${plan.port}`,
    'User-Agent: Go-http-client/1.1',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Authorization: Bearer ${plan.token}`,
    'Content-Type: application/vnd.docker.distribution.events.v1+json',
    ...(plan.keepAlive ? [] : ['Connection: close']),
    '',
    body,
  ].join('\r\n')
}

const open = async (): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect({ port: plan.port, host: '127.0.0.1', noDelay: true }, () => {
      resolve(socket)
    })
    socket.once('error', reject)
  })

const exchange = async (socket: Socket, text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let answer = ''
    const onData = (chunk: Buffer): void => {
      answer += chunk.toString('latin1')
      // The answers are one JSON object each, the innermost of which is "skipped".
      if (!answer.endsWith('}}')) return
      socket.off('data', onData).off('error', reject).off('close', onClose)
      resolve(answer)
    }
    const onClose = (): void => {
      reject(new Error('closed before an answer'))
    }
    socket.on('data', onData).once('error', reject).once('close', onClose)
    socket.write(text)
  })

/** Made beforehand: what is measured is the receiver, not the making of JSON. */
const requests = Array.from({ length: plan.requests }, request)

let next = 0

const client = async (): Promise<void> => {
  let socket = plan.keepAlive ? await open() : undefined
  for (let text = requests[next++]; text !== undefined && !stop; text = requests[next++]) {
    const start = performance.now()
    try {
      const used = socket ?? (await open())
      const answer = await exchange(used, text)
      if (!plan.keepAlive) used.destroy()
      if (answer.startsWith('HTTP/1.1 200')) stored += plan.events
      else failed++
    } catch {
      failed++
      if (plan.keepAlive) socket = await open()
    }
    latencies.push(performance.now() - start)
  }
}

const started = performance.now()
setTimeout(() => {
  stop = true
}, plan.seconds * 1000)
await Promise.all(Array.from({ length: plan.connections }, client))
const seconds = (performance.now() - started) / 1000
latencies.sort((a, b) => a - b)
const quantile = (q: number): number =>
  latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * q))] ?? NaN
console.log(
  JSON.stringify({
    stored,
    failed,
    seconds,
    eventsPerSecond: stored / seconds,
    requestsPerSecond: latencies.length / seconds,
    p50: quantile(0.5),
    p99: quantile(0.99),
    worst: quantile(1),
  }),
)
