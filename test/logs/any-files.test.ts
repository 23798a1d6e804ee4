import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import type { LogSource } from '../../src/logs/log-source.js'
import { foldDays } from '../../src/pulls/day-fold/fold-days.js'
import { WINDOWS } from '../../src/pulls/model/join-windows.js'
import type { Database } from '../../src/storage/sql/database.js'
import { failAt } from '../servers/fail-at.js'
import { runsOn } from '../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'
import { importInto, outcomeRows, type OutcomeRow } from '../support/importing.js'

const REGISTRY = 'registry.example'
const NOW = new Date('2026-11-21T12:00:00Z')
const MIDNIGHT = Date.parse('2026-11-11T00:00:00Z')
const DIGEST = `sha256:${'a'.repeat(64)}`
const LAYER = `sha256:${'b'.repeat(64)}`
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

const request = fc.record({
  /** After a midnight, which many invocations cross. */
  seconds: fc.oneof(fc.integer({ min: -90, max: 90 }), fc.integer({ min: 86_310, max: 86_490 })),
  client: fc.constantFrom('203.0.113.7', '203.0.113.8'),
  target: fc.constantFrom('manifests/latest', 'manifests/1.0', `manifests/${DIGEST}`, `blobs/${LAYER}`),
  method: fc.constantFrom('GET', 'GET', 'HEAD'),
  status: fc.constantFrom(200, 200, 404),
  agent: fc.constantFrom('docker/24.0.5', 'containerd/2.0'),
  size: fc.nat({ max: 999 }),
})
type Case = typeof request extends fc.Arbitrary<infer T> ? T : never

const lineOf = ({ seconds, client, target, method, status, agent, size }: Case): string => {
  const at = new Date(MIDNIGHT + seconds * 1_000)
  const two = (number: number): string => String(number).padStart(2, '0')
  const day = `${two(at.getUTCDate())}/${MONTHS[at.getUTCMonth()] ?? ''}/${at.getUTCFullYear()}`
  const time = at.toISOString().slice(11, 19)
  return `${client} - - [${day}:${time} +0000] "${method} /v2/team/app/${target} HTTP/1.1" ${status} ${size} "" "${agent}"\n`
}

const sourceOf = (name: string, text: string, isCompressed: boolean): LogSource => ({
  name,
  open: async () => Promise.resolve(Readable.from([Buffer.from(text)])),
  canGrow: !isCompressed,
})

/** What is done with one of the pieces: imported as it is then, of which only the first lines may be written. */
const step = fc.record({
  piece: fc.nat({ max: 3 }),
  written: fc.constantFrom(0.3, 1, 1, 1),
  isCompressed: fc.boolean(),
  /** The number of the statement at which the import ends. */
  failsAt: fc.option(fc.integer({ min: 1, max: 8 })),
  /** Two processes import the piece at once. */
  isTwice: fc.boolean(),
  folds: fc.boolean(),
})

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => {
    await stores.close()
  })

  const fold = async (): Promise<void> => foldDays({ database: stores.database, windows: WINDOWS })

  const importText = async (database: Database, name: string, text: string, isCompressed: boolean): Promise<void> => {
    if (text === '') return
    const settings = { registry: REGISTRY, now: NOW, mostWeight: 100_000 }
    await importInto(database, sourceOf(name, text, isCompressed), { ...settings, given: { format: 'combined' } })
  }

  /** The rows of all tables that answers are made of. */
  const tables = async (): Promise<OutcomeRow[]> => {
    const { rows: totals } = await sql<OutcomeRow>`
      select registry, repository, sum(invocations)::int as invocations, sum(pulls)::int as pulls from pulls.totals
      group by 1, 2 order by 1, 2
    `.execute(stores.database.sql)
    return [...(await outcomeRows(stores.database)), ...totals]
  }

  test('a log cut into any files, imported in any order, any number of times, by two processes, or interrupted', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 4, maxLength: 30 }),
        fc.array(step, { minLength: 1, maxLength: 6 }),
        fc.shuffledSubarray([0, 1, 2, 3], { minLength: 4 }),
        async (cases, steps, order) => {
          await stores.clear()
          const lines = cases.sort((a, b) => a.seconds - b.seconds).map(lineOf)
          // A file is known by its first line, so no two pieces may begin with the same one.
          fc.pre(new Set(lines).size === lines.length)
          await importText(stores.database, 'all', lines.join(''), false)
          await fold()
          const expected = await tables()
          expect(expected.length).toBeGreaterThan(0)

          await stores.clear()
          const length = Math.ceil(lines.length / 4)
          const pieceOf = (piece: number): string[] => lines.slice(piece * length, (piece + 1) * length)
          for (const { piece, written, isCompressed, failsAt, isTwice, folds } of steps) {
            const some = pieceOf(piece)
            const text = some.slice(0, Math.ceil(some.length * written)).join('')
            const importIt = async (database: Database): Promise<void> =>
              importText(database, String(piece), text, isCompressed)
            if (failsAt !== null) await importIt(failAt(stores.database, failsAt)).catch(() => undefined)
            else if (isTwice) await Promise.all([importIt(stores.database), importIt(stores.database)])
            else await importIt(stores.database)
            if (folds) await fold()
          }
          for (const piece of order) await importText(stores.database, String(piece), pieceOf(piece).join(''), false)
          await fold()
          expect(await tables()).toEqual(expected)
        },
      ),
      runsOn(stores.database, { postgresql: 300, pglite: 20 }),
    )
  })
})
