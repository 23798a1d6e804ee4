/**
 * Measures what the documentation claims: npm run bench -- [name …] [--rounds N] [--seconds N] [--json FILE]
 * With --filled URL, inventory and inventory-questions on a database of PostgreSQL with ten million blobs, and pulls-days on one
 * with a hundred million invocations, which is filled if it is empty, and kept; with --part 0.05, with a twentieth of them. With --only KIND, inventory with one kind of events: push-blob, pull-tag, push-manifest-told, push-manifest.
 * With --against FOLDER, compare: rates of this build and of a built checkout of another commit, in turns of a third of a second.
 * With --requests N and --replays N, embedded with another number of notifications, and more than once.
 * Prints the machine, the versions, the median and the spread, and the limit measured in the same run.
 */
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { machine, metTarget, type Row, type Sample } from './sample.js'
import type { Servers } from './servers.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    'memory-seconds': { type: 'string', default: '60' },
    filled: { type: 'string' },
    part: { type: 'string', default: '1' },
    only: { type: 'string' },
    against: { type: 'string' },
    requests: { type: 'string', default: '100000' },
    replays: { type: 'string', default: '1' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)

const withServers = async (bench: (servers: Servers) => Promise<Row[]>): Promise<Row[]> => {
  const { startServers } = await import('./servers.js')
  const servers = await startServers()
  try {
    return await bench(servers)
  } finally {
    await servers.stop()
  }
}

/**
 * Loaded when their turn comes: ioredis derives a class from String, after which V8 looks up every string method anew, and
 * hashing takes three times as long. A service with embedded stores never loads it.
 */
const BENCHES: Record<string, () => Promise<Row[]>> = {
  hyperloglog: async () => (await import('./hyperloglog.js')).benchHyperloglog({ rounds: rounds * 2 }),
  pulls: async () => (await import('./pulls.js')).benchPulls({ rounds }),
  'pulls-stored': async () => {
    const { benchPullsStored } = await import('./pulls-stored.js')
    return withServers(async ({ postgres }) => benchPullsStored(await postgres.database('bench_pulls'), { rounds }))
  },
  'pulls-days': async () => {
    const { benchPullsDays } = await import('./pulls-days.js')
    const { filled, part } = values
    const settings = { times: rounds * 24, part: Number(part) }
    if (filled !== undefined) return benchPullsDays(filled, settings)
    return withServers(async ({ postgres }) => benchPullsDays(await postgres.database('bench_pulls_days'), settings))
  },
  start: async () => {
    const { benchStart } = await import('./start.js')
    return withServers(async (servers) => benchStart(servers, { rounds }))
  },
  ping: async () => {
    const { benchPing } = await import('./ping.js')
    return withServers(async (servers) => benchPing(servers, { rounds: rounds * 2 }))
  },
  ingest: async () => (await import('./ingest.js')).benchIngest({ rounds, seconds }),
  'inventory-questions': async () => {
    const { benchInventoryQuestions } = await import('./inventory-questions.js')
    const { filled } = values
    if (filled !== undefined) return benchInventoryQuestions(filled, { rounds })
    return withServers(async ({ postgres }) =>
      benchInventoryQuestions(await postgres.database('bench_inventory'), { rounds }),
    )
  },
  inventory: async () => {
    const { benchFilled, benchInventory } = await import('./inventory.js')
    const { filled, only } = values
    const settings = { rounds, seconds, ...(only !== undefined && { only }) }
    return filled === undefined ? benchInventory(settings) : benchFilled(settings, filled)
  },
  embedded: async () =>
    (await import('./embedded.js')).benchEmbedded({
      rounds: Number(values.replays),
      requests: Number(values.requests),
    }),
  ...(values.against !== undefined && {
    compare: async () => {
      const { benchCompare } = await import('./compare.js')
      return withServers(async (servers) =>
        benchCompare(servers, { against: resolve(values.against ?? ''), rounds, only: values.only }),
      )
    },
  }),
  memory: async () => {
    const { benchMemory } = await import('./memory.js')
    return withServers(async (servers) => benchMemory(servers, { seconds: Number(values['memory-seconds']) }))
  },
}

const number = (value: number): string =>
  value >= 1_000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
const spread = ({ least, most, times }: Sample): string => `${number(least)} – ${number(most)} (${times}×)`
const verdict = (row: Row): string => {
  const met = metTarget(row)
  return met === undefined ? '' : met ? 'met' : 'MISSED'
}

const print = (rows: readonly Row[]): void => {
  const head = ['measured', 'median', 'spread', 'target', '', 'ratio to the limit']
  const table = new Table({ head, style: { head: [], border: [] } })
  for (const row of rows) {
    const { measured, unit, sample, target, limit, note } = row
    const ratio = limit ? `${limit.ratio.median.toFixed(2)} ${limit.what}` : ''
    const wanted = target && ('least' in target ? `≥ ${number(target.least)}` : `≤ ${number(target.most)}`)
    table.push([
      measured,
      `${number(sample.median)} ${unit}`,
      spread(sample),
      wanted ?? '',
      verdict(row),
      [ratio, note].filter(Boolean).join('; '),
    ])
  }
  console.log(table.toString())
}

if (values.help) {
  console.log(
    `npm run bench -- [${Object.keys(BENCHES).join(' | ')}] [--rounds N] [--seconds N] [--filled URL] [--part N] [--only KIND] [--against FOLDER] [--requests N] [--replays N] [--json FILE]`,
  )
} else {
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHES)
  const rows: Row[] = []
  console.log(machine())
  for (const name of names) {
    const bench = BENCHES[name]
    if (!bench) throw new Error(`there is no benchmark "${name}"; there are ${Object.keys(BENCHES).join(', ')}`)
    console.error(`${name} …`)
    const measured = await bench()
    print(measured)
    rows.push(...measured)
  }
  const { versions } = await import('./servers.js')
  console.log(versions())
  if (values.json !== undefined) {
    const report = { machine: machine(), versions: versions(), at: new Date().toISOString(), rounds, seconds, rows }
    writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`)
  }
}
