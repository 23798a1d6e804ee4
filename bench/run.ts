/**
 * Measures what the documentation claims: npm run bench -- [name …] [--rounds N] [--seconds N] [--json FILE]
 * Prints the machine, the versions, the median and the spread, and the limit measured in the same run.
 */
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import Table from 'cli-table3'
import { benchHyperloglog } from './hyperloglog.js'
import { benchIngest } from './ingest.js'
import { benchMemory } from './memory.js'
import { benchPing } from './ping.js'
import { machine, metTarget, type Row, type Sample } from './sample.js'
import { startServers, versions, type Servers } from './servers.js'
import { benchStart } from './start.js'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '4' },
    'memory-seconds': { type: 'string', default: '60' },
    json: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
const rounds = Number(values.rounds)
const seconds = Number(values.seconds)

const withServers = async (bench: (servers: Servers) => Promise<Row[]>): Promise<Row[]> => {
  const servers = await startServers()
  try {
    return await bench(servers)
  } finally {
    await servers.stop()
  }
}

const BENCHES: Record<string, () => Promise<Row[]> | Row[]> = {
  hyperloglog: () => benchHyperloglog({ rounds: rounds * 2 }),
  start: async () => withServers(async (servers) => benchStart(servers, { rounds })),
  ping: async () => withServers(async (servers) => benchPing(servers, { rounds: rounds * 2 })),
  ingest: async () => benchIngest({ rounds, seconds }),
  memory: async () =>
    withServers(async (servers) => benchMemory(servers, { seconds: Number(values['memory-seconds']) })),
}

const number = (value: number): string =>
  value >= 1_000 ? Math.round(value).toLocaleString('en-US') : String(Number(value.toPrecision(3)))
const spread = ({ least, most, times }: Sample): string => `${number(least)} – ${number(most)} (${times}×)`
const verdict = (row: Row): string => {
  const met = metTarget(row)
  return met === undefined ? '' : met ? 'met' : 'MISSED'
}

const print = (rows: readonly Row[]): void => {
  const table = new Table({ head: ['measured', 'median', 'spread', 'target', '', 'ratio to the limit'] })
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
  console.log(`npm run bench -- [${Object.keys(BENCHES).join(' | ')}] [--rounds N] [--seconds N] [--json FILE]`)
} else {
  const names = positionals.length > 0 ? positionals : Object.keys(BENCHES)
  const rows: Row[] = []
  const setting = { machine: machine(), versions: versions(), at: new Date().toISOString(), rounds, seconds }
  console.log(`${setting.machine}\n${setting.versions}`)
  for (const name of names) {
    const bench = BENCHES[name]
    if (!bench) throw new Error(`there is no benchmark "${name}"; there are ${Object.keys(BENCHES).join(', ')}`)
    console.error(`${name} …`)
    const measured = await bench()
    print(measured)
    rows.push(...measured)
    if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ ...setting, rows }, null, 2)}\n`)
  }
}
