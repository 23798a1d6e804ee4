import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { eventually } from './process.js'
import { createSender, type RawAnswer, type RawRequest } from './fuzz.js'
import { runs } from './runs.js'
import { startService, type Service } from './service.js'
import { embeddedFolder, openServers } from './stores.js'

/** Requests that are sent at once. */
const AT_ONCE = 20
/** An answer that takes longer means that the service hangs: many times what a busy machine needs. */
const LONGEST_ANSWER_MS = 60_000
/** The embedded database included, and what V8 has not collected yet, whatever is sent and for how long. */
const LARGEST_MEMORY_BYTES = 650e6
/** How often in a run the memory of the service is measured. */
const MEMORY_SAMPLES = 20

/** Random cases of a run that shows its progress. */
const LONG_RUN = 5_000

/** Answers by status, and the memory of the service in the course of the run. */
type Summary = { statuses: Record<string, number>; memory: number[] }

export type FuzzedService = {
  service: Service
  /** Sends random requests, `AT_ONCE` at a time, and checks each answer. */
  fuzz: (
    requests: fc.Arbitrary<RawRequest>,
    usual: number,
    check: (raw: RawRequest, answer: RawAnswer) => void,
  ) => Promise<Summary>
  close: () => Promise<void>
}

/** The built service on one of the pairs of stores, to be sent random requests. */
export const startFuzzed = async (
  stores: 'embedded' | 'servers',
  environment: Record<string, string>,
): Promise<FuzzedService> => {
  const folder = embeddedFolder()
  const servers = stores === 'servers' ? await openServers() : undefined
  const service = await startService(folder.path, { ...environment, ...servers?.environment })
  const sender = createSender(service.url)

  const residentBytes = (): number => {
    const status = readFileSync(`/proc/${service.process.child.pid}/status`, 'utf8')
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1_024
  }
  const send = async (raw: RawRequest): Promise<RawAnswer> => {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new Error('no answer'))
      }, LONGEST_ANSWER_MS)
    })
    return Promise.race([sender.send(raw), late]).finally(() => {
      clearTimeout(timer)
    })
  }
  return {
    service,
    fuzz: async (requests, usual, check) => {
      const statuses: Record<string, number> = {}
      const memory = [residentBytes()]
      const { numRuns } = runs(usual / AT_ONCE)
      let run = 0
      const each = fc.array(requests, { minLength: AT_ONCE, maxLength: AT_ONCE, size: 'max' })
      const property = fc.asyncProperty(each, async (many) => {
        if (++run % Math.ceil(numRuns / MEMORY_SAMPLES) === 0) {
          memory.push(residentBytes())
          if (numRuns >= LONG_RUN) process.stderr.write(`${run * AT_ONCE} of ${numRuns * AT_ONCE} requests\n`)
        }
        await Promise.all(
          many.map(async (raw) => {
            try {
              const answer = await send(raw)
              statuses[answer.status] = (statuses[answer.status] ?? 0) + 1
              check(raw, answer)
            } catch (cause) {
              throw new Error(`${describe(raw)}: ${(cause as Error).message}; ${ending(service)}`, { cause })
            }
          }),
        )
      })
      await fc.assert(property, runs(usual / AT_ONCE))
      await eventually('the service is alive', async () => (await fetch(`${service.url}/healthz`)).ok)
      const largest = Math.max(...memory)
      if (stores === 'embedded' && largest > LARGEST_MEMORY_BYTES) throw new Error(`${largest} bytes of memory`)
      return { statuses, memory: memory.map((bytes) => Math.round(bytes / 1e6)) }
    },
    close: async () => {
      sender.close()
      await service.process.end('SIGKILL')
      await servers?.close()
      folder.remove()
    },
  }
}

const describe = ({ method, target, headers, body }: RawRequest): string =>
  JSON.stringify({ method, target, headers, body: body?.toString().slice(0, 2_000) })

const ending = ({ process: { child, output } }: Service): string =>
  `exit code ${String(child.exitCode)}, log: ${output().slice(-2_000)}`
