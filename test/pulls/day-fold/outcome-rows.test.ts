import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sql } from 'kysely'
import { copyRows } from '../../../src/storage/sql/copy-rows.js'
import { createNumbering, createPairNumbering } from '../../../src/pulls/day-fold/numbering.js'
import { createOutcomeRows } from '../../../src/pulls/day-fold/outcome-rows.js'
import { OUTCOME_COLUMNS } from '../../../src/pulls/fold-job/outcome-values.js'
import type { Platform } from '../../../src/pulls/fold-job/platform.js'
import { saveOutcomes } from '../../../src/pulls/fold-job/save-outcomes.js'
import type { PullOutcome } from '../../../src/pulls/fold/outcome.js'
import type { Who } from '../../../src/pulls/requests/pending.js'
import { runsOn } from '../../servers/runs.js'
import { STORE_PAIRS, type TestStores } from '../../servers/stores.js'

const MIDNIGHT = Date.parse('2026-11-11T00:00:00Z') * 1_000
const REGISTRY = 'registry.example'

/** Any text that PostgreSQL can store. */
const text = fc.string({ unit: 'binary', maxLength: 12 }).map((one) => one.replaceAll('\0', ''))
const optional = <T>(one: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(one, { nil: undefined })

const who: fc.Arbitrary<Who> = fc.record(
  {
    ...{
      endpoint: text,
      source: fc.constant('access_log' as const),
      client: text,
      version: text,
      kind: text,
      os: text,
    },
    ...{ arch: text, country: text, network: text, networkKind: text, signedIn: fc.boolean() },
  },
  { requiredKeys: ['endpoint', 'source', 'client', 'kind', 'signedIn'] },
)

const common = {
  id: fc.oneof(fc.uuid(), text),
  at: fc.integer({ min: -(10 ** 15), max: 10 ** 15 }),
  registry: fc.constant(REGISTRY),
  ...{ repository: text, origin: text, tag: optional(text), digest: optional(text) },
  bytes: fc.maxSafeNat(),
}
const invocation = fc
  .record({
    ...{
      ...common,
      by: fc.constantFrom('tag' as const, 'digest' as const),
      gets: fc.nat({ max: 3 }),
      layers: fc.nat(),
    },
    ...{ images: fc.array(fc.constantFrom('a', 'b', 'c', 'd'), { maxLength: 4 }), startsSession: fc.boolean() },
  })
  .map((one): PullOutcome => ({ ...one, what: 'invocation', last: one.at }))
const aside = fc
  .record({ ...common, what: fc.constantFrom('artifact' as const, 'orphan' as const, 'failure' as const) })
  .map(({ tag, digest, ...one }): PullOutcome => ({
    ...one,
    ...(tag !== undefined && { tag }),
    ...(digest !== undefined && { digest }),
  }))

const PLATFORMS = new Map<string, Platform>([
  ['a', { platform: 'linux/amd64', from: 'index' }],
  ['b', { platform: 'linux/amd64', from: 'config' }],
  ['c', { platform: 'linux/arm64', from: 'index' }],
])
const lookups = {
  reportsBlobs: (at: number): boolean => at < MIDNIGHT,
  platforms: (digest: string): Platform | undefined => PLATFORMS.get(digest),
}

type One = { outcome: PullOutcome; who: string }

const encode = (all: readonly One[]): Uint8Array => {
  const [names, repositories, origins] = [createNumbering(), createNumbering(), createNumbering()]
  const [whos, chains] = [createNumbering(), createPairNumbering()]
  const { buffer, add } = createOutcomeRows(
    { names, repositories, origins, whos, chains },
    {
      ...{ ...lookups, registry: REGISTRY },
      writeId: (row, id) => {
        row.text(all[id]?.outcome.id ?? '')
      },
    },
  )
  for (const [id, { outcome, who: its }] of all.entries()) {
    const { tag, digest, repository, origin } = outcome
    const numbers = {
      ...(tag !== undefined && { tag: names.numberOf(tag) }),
      ...(digest !== undefined && { digest: names.numberOf(digest) }),
      ...('images' in outcome && { images: outcome.images.map(names.numberOf) }),
    }
    const chain = chains.numberOf(repositories.numberOf(repository), origins.numberOf(origin))
    add({ ...outcome, ...numbers, id } as PullOutcome<number>, chain, whos.numberOf(its))
  }
  return buffer.bytes()
}

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => {
    await stores.close()
  })

  const takeRows = async (): Promise<unknown[]> => {
    const { rows } = await sql`
      with gone as (delete from pulls.outcomes returning *)
      select *, (extract(epoch from at) * 1000000)::bigint::text as micros from gone order by registry, repository, at, id
    `.execute(stores.database.sql)
    return rows
  }

  test('an outcome has the same row, whether it is copied or saved', async () => {
    await stores.clear()
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(
          fc.record({ outcome: fc.oneof(invocation, aside), who: who.map((one) => JSON.stringify(one)) }),
          {
            minLength: 1,
            selector: ({ outcome: { repository, at, id } }) => JSON.stringify([repository, at, id]),
          },
        ),
        async (all) => {
          await saveOutcomes(stores.database.sql, all, lookups)
          const saved = await takeRows()
          await stores.database.jobs
            .transaction()
            .execute(async (tx) =>
              copyRows(tx, `pulls.outcomes (${OUTCOME_COLUMNS.join(', ')})`, async (write) => write(encode(all))),
            )
          expect(await takeRows()).toEqual(saved)
          expect(saved).toHaveLength(all.length)
        },
      ),
      runsOn(stores.database, { postgresql: 100, pglite: 20 }),
    )
  })
})
