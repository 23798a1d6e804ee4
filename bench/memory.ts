import { readFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
import { sampleOf, type Row } from './sample.js'
import { portOf, sendLoad, startEmbedded, startOnServers, type Pair, type Servers } from './servers.js'

const LOAD = {
  workload: 'push-tag',
  connections: 8,
  keepAlive: true,
  events: 10,
  requests: 30_000,
  seconds: 10,
} as const

/** Memory under load that goes on: as flat at its end as after its first third. */
export const benchMemory = async (servers: Servers, { seconds }: { seconds: number }): Promise<Row[]> => {
  const rows: Row[] = []
  for (const start of [async () => startOnServers(servers), startEmbedded]) {
    const pair = await start()
    try {
      rows.push(...(await underLoad(pair, seconds)))
    } finally {
      await pair.stop()
    }
  }
  return rows
}

const underLoad = async (pair: Pair, seconds: number): Promise<Row[]> => {
  const sizes: number[] = []
  let loading = true
  const watch = async (): Promise<void> => {
    while (loading) {
      await setTimeout(500)
      sizes.push(residentMebibytes(pair.service.process.child.pid ?? 0))
    }
  }
  const watching = watch()
  let events = 0
  for (const end = Date.now() + seconds * 1000; Date.now() < end;) events += (await sendLoad(portOf(pair), LOAD)).stored
  loading = false
  await watching
  const third = Math.floor(sizes.length / 3)
  const [middle, last] = [sampleOf(sizes.slice(third, 2 * third)), sampleOf(sizes.slice(2 * third))]
  return [
    {
      measured: `${pair.name}: resident memory under ${seconds} s of load`,
      unit: 'MiB',
      sample: sampleOf(sizes),
      ...(pair.name !== 'embedded' && { target: { most: 300 } }),
      note: `${events} events; highest ${Math.round(sampleOf(sizes).most)} MiB`,
    },
    {
      measured: `${pair.name}: growth from the second third to the last`,
      unit: 'MiB',
      sample: sampleOf([last.median - middle.median]),
      target: { most: 20 },
    },
  ]
}

const residentMebibytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
