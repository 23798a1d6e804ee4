import { describe, expect, test } from '@jest/globals'
import { invocationsTable } from '../../src/exports/invocations.js'
import { pullDaysTable } from '../../src/exports/pull-days.js'
import { parsePullsQuery } from '../../src/pulls/query/parameters.js'
import { queryPulls } from '../../src/pulls/query/query-pulls.js'
import { NOW } from '../servers/clock.js'
import { publicId, readBack, useExports, writeDays } from '../servers/exports.js'
import { keepInvocations, REGISTRY } from '../servers/stored-requests.js'
import { STORE_PAIRS } from '../servers/stores.js'

const CONTEXT = { rotation: 'monthly' as const, stamps: {} }

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  const suite = useExports(open)

  test('an invocation is one row, and numbers are exact', async () => {
    await keepInvocations(suite.stores)
    const { files } = await writeDays(
      invocationsTable({ ...suite.stores, registries: undefined, publicId }),
      suite.folder.path,
    )
    expect(files.map(({ day, rows }) => [day, rows])).toEqual([
      ['2026-11-18', 20],
      ['2026-11-19', 15],
    ])
    const rows = await readBack(files[0]?.path ?? '')
    expect(rows[0]).toMatchObject({
      id: '0000000000000001',
      is_pull: true,
      bytes: 5_000_000_000n,
      by_tag: true,
      digest: null,
    })
    expect(rows[1]).toMatchObject({ id: publicId('0000000000000002'), is_pull: false, origin: 'origin 2' })
  })

  test('the numbers of days are those of tallyman pulls', async () => {
    await keepInvocations(suite.stores)
    const table = pullDaysTable({
      ...suite.stores,
      registries: [REGISTRY],
      groupBy: ['client'],
      context: CONTEXT,
      now: NOW,
    })
    const { files } = await writeDays(table, suite.folder.path)
    expect(files.map(({ day }) => day)).toEqual(['2026-11-18', '2026-11-19'])
    for (const { day, path } of files) {
      const measures = 'invocations,pulls,checks,bytes,unique_origins,unique_endpoints,unique_sources'
      const query = parsePullsQuery({ since: day, until: day, group_by: 'registry,repository,client', measures }, NOW)
      const { rows } = await queryPulls(suite.stores.database.sql, query, CONTEXT)
      const expected = rows.sort((a, b) => ((a.repository ?? '') < (b.repository ?? '') ? -1 : 1))
      const read = await readBack(path)
      expect(read).toHaveLength(3)
      expect(
        read.map((row) =>
          Object.fromEntries(
            Object.entries(row).map(([name, value]) => [name, typeof value === 'bigint' ? Number(value) : value]),
          ),
        ),
      ).toEqual(expected.map((row) => expect.objectContaining(row) as unknown))
    }
  })

  test('small groups of days are merged, as in tallyman pulls', async () => {
    await keepInvocations(suite.stores)
    const context = { ...CONTEXT, minimumGroupSize: 4 }
    const table = pullDaysTable({
      ...suite.stores,
      registries: undefined,
      groupBy: ['tag', 'source'],
      context,
      now: NOW,
    })
    const { files } = await writeDays(table, suite.folder.path)
    const sources = await Promise.all(
      files.map(async ({ path }) => (await readBack(path)).map(({ unique_sources }) => unique_sources)),
    )
    expect(sources.flat().length).toBeGreaterThan(1)
    expect(sources.flat().every((number) => Number(number) >= 4)).toBe(true)
    expect(table.notes().join()).toMatch(/merged into other/)
  })
})
