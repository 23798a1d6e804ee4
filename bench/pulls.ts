import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createDefinitionReader } from '../src/definitions/definition-file.js'
import { foldColumns } from '../src/pulls/fold/fold-columns.js'
import type { ManifestContents } from '../src/pulls/fold/contents.js'
import { columnsOf, inNumbers } from '../test/support/columns.js'
import { createFold } from '../test/support/fold.js'
import { WINDOWS } from '../src/pulls/model/join-windows.js'
import { loadClients } from '../src/requesters/client.js'
import { contentsOfAll, pullsOf } from './pull-requests.js'
import { sampleOf, type Row } from './sample.js'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const REQUESTS = 300_000
const AGENTS = 400_000

/** Requests folded and user agents read a second, in memory on one core, beside what walking through them costs. */
export const benchPulls = ({ rounds }: { rounds: number }): Row[] => [
  foldRow(rounds),
  columnsRow(rounds),
  agentsRow(rounds),
  hostileRow(rounds),
]

const foldRow = (rounds: number): Row => {
  const requests = pullsOf(REQUESTS)
  const known = contentsOfAll()
  let outcomes = 0
  const fold = (): void => {
    const { add, end } = createFold({
      contentsOf: (digest) => known.get(digest),
      windows: WINDOWS,
      emit: () => outcomes++,
    })
    for (const request of requests) add(request)
    end()
  }
  let read = 0
  const walk = (): void => {
    const registries = new Map<string, Map<string, Map<string, { requests: number }>>>()
    for (const { registry, repository, origin, at, status, object, method, tag, digest } of requests) {
      const repositories = registries.get(registry) ?? new Map<string, Map<string, { requests: number }>>()
      registries.set(registry, repositories)
      const chains = repositories.get(repository) ?? new Map<string, { requests: number }>()
      repositories.set(repository, chains)
      const chain = chains.get(origin) ?? { requests: 0 }
      chains.set(origin, chain)
      chain.requests++
      read += at + status + object.length + method.length + (tag?.length ?? 0) + (digest?.length ?? 0)
    }
  }
  const { measured, limits } = alternate(rounds, REQUESTS, fold, walk)
  if (outcomes === 0 || read === 0) throw new Error('nothing was folded')
  return {
    measured: 'fold of requests in memory, one core',
    unit: 'requests/s',
    sample: sampleOf(measured),
    target: { least: 500_000 },
    limit: {
      what: 'of reading them and finding their chains',
      ratio: sampleOf(measured.map((one, i) => one / (limits[i] ?? NaN))),
    },
  }
}

/** The same requests in columns, made before. */
const columnsRow = (rounds: number): Row => {
  const { columns, names, chains } = columnsOf(pullsOf(REQUESTS))
  const known = new Map<number, ManifestContents<number>>()
  for (const [digest, contents] of contentsOfAll())
    known.set(names.numberOf(digest), inNumbers(contents, names.numberOf))
  const keys = chains.texts.map((text) => {
    const [registry, repository, origin] = JSON.parse(text) as [string, string, string]
    return { registry, repository, origin }
  })
  let outcomes = 0
  const fold = (): void => {
    foldColumns(columns, new Map(), {
      chainCount: keys.length,
      keyOf: (chain) => keys[chain] ?? { registry: '', repository: '', origin: '' },
      contentsOf: (digest) => known.get(digest),
      isReferrerTag: () => false,
      windows: WINDOWS,
      emit: () => outcomes++,
      end: Number.MAX_SAFE_INTEGER,
      onRow: () => undefined,
      onEnd: () => undefined,
    })
  }
  let read = 0
  const walk = (): void => {
    const { at, chain, object, flags, status, tag, digest } = columns
    for (let row = 0; row < columns.length; row++) {
      for (const column of [at, chain, object, flags, status, tag, digest]) read += column[row] ?? 0
    }
  }
  const { measured, limits } = alternate(rounds, REQUESTS, fold, walk)
  if (outcomes === 0 || read === 0) throw new Error('nothing was folded')
  return {
    measured: 'fold of requests in columns in memory, one core',
    unit: 'requests/s',
    sample: sampleOf(measured),
    target: { least: 3_000_000 },
    limit: { what: 'of adding up the columns', ratio: sampleOf(measured.map((one, i) => one / (limits[i] ?? NaN))) },
  }
}

const clientOf = loadClients(
  [join(ROOT, 'definitions', 'clients.yml')],
  createDefinitionReader(join(ROOT, 'definitions', 'schema')),
)

const agentsRow = (rounds: number): Row => {
  const real = JSON.parse(readFileSync(join(ROOT, 'test', 'fixtures', 'user-agents.json'), 'utf8')) as { ua: string }[]
  const agents = Array.from({ length: AGENTS }, (_, i) => real[i % real.length]?.ua ?? '')
  let clients = 0
  const parse = (): void => {
    for (const agent of agents) clients += clientOf(agent).client.length
  }
  const walk = (): void => {
    for (const agent of agents) clients += agent.lastIndexOf(' ')
  }
  const { measured, limits } = alternate(rounds, AGENTS, parse, walk)
  if (clients === 0) throw new Error('nothing was read')
  return {
    measured: 'client rules over 55 real user agents, no cache',
    unit: 'agents/s',
    sample: sampleOf(measured),
    target: { least: 400_000 },
    limit: { what: 'of one search in each', ratio: sampleOf(measured.map((one, i) => one / (limits[i] ?? NaN))) },
  }
}

/** What makes patterns go back and forth: long runs of what they repeat, without the end that they look for. */
const HOSTILE = [
  ...['a', ' ', '/', '(', '\\', '\0', '-', '.', '1', 'é'],
  ...[
    'docker/',
    'UpstreamClient(',
    ' os/',
    'a-',
    'docker/1 UpstreamClient(a-',
    'skopeo/ ',
    'Mozilla/5.0 (',
    'Nexus/1 (;',
    'jib 1 jib',
  ],
]
const LONGEST = 65_536

const hostileRow = (rounds: number): Row => {
  const agents = HOSTILE.map((one) => one.repeat(Math.ceil(LONGEST / one.length)).slice(0, LONGEST))
  const worst: number[] = []
  const usual: number[] = []
  for (let round = 0; round < rounds + 3; round++) {
    const took = agents.map((agent) => {
      const start = performance.now()
      clientOf(agent)
      return performance.now() - start
    })
    const start = performance.now()
    clientOf('docker/27.0.3 go/go1.21.11 os/linux arch/amd64 UpstreamClient(Docker-Client/27.0.3 \\(linux\\))')
    if (round < 3) continue
    usual.push(performance.now() - start)
    worst.push(Math.max(...took))
  }
  return {
    measured: `client rules, the slowest of ${HOSTILE.length} hostile agents of 64 KiB`,
    unit: 'ms',
    sample: sampleOf(worst),
    target: { most: 1 },
    limit: { what: 'times a usual agent', ratio: sampleOf(worst.map((one, i) => one / (usual[i] ?? NaN))) },
  }
}

const alternate = (
  rounds: number,
  count: number,
  work: () => void,
  limit: () => void,
): { measured: number[]; limits: number[] } => {
  const [measured, limits]: [number[], number[]] = [[], []]
  for (let round = 0; round < rounds + 1; round++) {
    const [worked, limited] = [perSecond(count, work), perSecond(count, limit)]
    // The first round warms up.
    if (round === 0) continue
    measured.push(worked)
    limits.push(limited)
  }
  return { measured, limits }
}

const perSecond = (count: number, work: () => void): number => {
  const start = performance.now()
  work()
  return (count / (performance.now() - start)) * 1000
}
