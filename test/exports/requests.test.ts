import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import type { Row } from '../../src/exports/columns.js'
import type { Exported } from '../../src/exports/export-days.js'
import type { ExportTable } from '../../src/exports/export-table.js'
import { fileRequests } from '../../src/exports/file-requests.js'
import { liveRequests } from '../../src/exports/live-requests.js'
import { requestsTable } from '../../src/exports/requests.js'
import { readSorted } from '../../src/exports/slices.js'
import { listSegments } from '../../src/pulls/segments/segment-table.js'
import { NOW } from '../servers/clock.js'
import { publicId, readBack, useExports, writeDays } from '../servers/exports.js'
import { keepInFiles, keepLive, MIDNIGHT, REGISTRY, REQUESTS, type LiveRequest } from '../servers/stored-requests.js'
import { STORE_PAIRS } from '../servers/stores.js'
import type { FileRequest } from '../support/segments.js'

describe.each(STORE_PAIRS)('%s', (_name, open) => {
  const suite = useExports(open)

  const requestsOf = (registries?: string[]): ExportTable =>
    requestsTable({ database: suite.stores.database, registries, publicId, keptDays: 1_000, now: NOW })
  const contents = ({ files }: Exported): [string, string][] =>
    files.map(({ day, path }) => [day, readFileSync(path).toString('hex')])

  test('requests of notifications and of files are written by day, with the origin and no hash of a line', async () => {
    await keepInFiles(suite.stores, [REQUESTS])
    await keepLive(suite.stores, [
      { n: 1, table: 'requests' },
      { n: 2, table: 'pending' },
    ])
    const { files } = await writeDays(requestsOf(), suite.folder.path)
    expect(files.map(({ day, path, rows }) => [day, path, rows])).toEqual([
      ['2026-11-18', join(suite.folder.path, 'requests', 'day=2026-11-18', 'part-0.parquet'), 28],
      ['2026-11-19', join(suite.folder.path, 'requests', 'day=2026-11-19', 'part-0.parquet'), 14],
    ])
    const rows = await readBack(files[0]?.path ?? '')
    expect(rows[1]).toMatchObject({
      ...{ registry: REGISTRY, repository: 'team/1', origin: 'origin 1', id: publicId('0000000000000002') },
      ...{ method: 'GET', object: 'manifest', tag: 'latest', status: 200, bytes: 1_000n, is_late: false },
      ...{
        source: 'access_log',
        endpoint: 'of origin 1',
        client: 'docker',
        client_version: '27',
        os: null,
        signed_in: true,
      },
    })
    expect(rows.filter(({ source }) => source === 'notification').map(({ id, is_late }) => [id, is_late])).toEqual([
      ['00000000-0000-0000-0000-000000000001', true],
      ['00000000-0000-0000-0000-000000000002', false],
    ])
    expect(JSON.stringify(rows, (_key, value: unknown) => String(value))).not.toMatch(/previous origin/)
    expect(files.map(({ path }) => readFileSync(path).includes(REQUESTS[1]?.id ?? ''))).toEqual([false, false])
  })

  test.each(['parquet', 'ndjson', 'csv'] as const)(
    'equal rows give the same bytes of %s, however they are stored',
    async (format) => {
      const live: LiveRequest[] = Array.from({ length: 6 }, (_, n) => ({ n, table: 'requests', at: MIDNIGHT + 5 }))
      await keepInFiles(suite.stores, [REQUESTS])
      await keepLive(suite.stores, live)
      const first = contents(await writeDays(requestsOf(), join(suite.folder.path, 'first'), format))
      await suite.stores.clear()
      await keepLive(suite.stores, [...live].reverse())
      await keepInFiles(suite.stores, [
        REQUESTS.filter((_, i) => i % 3 === 1).reverse(),
        REQUESTS.filter((_, i) => i % 3 === 2),
        REQUESTS.filter((_, i) => i % 3 === 0).reverse(),
      ])
      expect(contents(await writeDays(requestsOf(), join(suite.folder.path, 'second'), format))).toEqual(first)
      expect(first).toHaveLength(2)
    },
  )

  test('a line that its source may repeat is one request, and other equal lines are several with different ids', async () => {
    const [one, other] = REQUESTS as [FileRequest, FileRequest]
    await keepInFiles(suite.stores, [
      [{ ...one, mayRepeat: true }, other],
      [other, { ...one, mayRepeat: true }, other],
    ])
    const { files } = await writeDays(requestsOf(), suite.folder.path)
    const ids = (await readBack(files[0]?.path ?? '')).map(({ id }) => id)
    expect(ids.sort()).toEqual([one.id, other.id, `${other.id}-1`, `${other.id}-2`].map(publicId).sort())
  })

  test('a registry is exported alone', async () => {
    await keepInFiles(suite.stores, [REQUESTS])
    await sql`update pulls.segments set registry = 'other.example' where day = '2026-11-19'`.execute(
      suite.stores.database.sql,
    )
    expect(
      (await writeDays(requestsOf(['other.example']), join(suite.folder.path, 'out'))).files.map(({ day }) => day),
    ).toEqual(['2026-11-19'])
  })

  test('requests are the same rows if few of them are sorted at once', async () => {
    await keepInFiles(suite.stores, [REQUESTS.filter((_, i) => i % 2 === 0), REQUESTS.filter((_, i) => i % 2 === 1)])
    await keepLive(
      suite.stores,
      Array.from({ length: 9 }, (_, n) => ({ n, table: n % 2 === 0 ? 'requests' : 'pending' })),
    )
    const read = async (most?: number): Promise<Row[]> => {
      const rows: Row[] = []
      await suite.stores.database.jobs.transaction().execute(async (tx) => {
        const segments = await listSegments(tx, '2026-11-18', undefined)
        const sources = [
          liveRequests(tx, '2026-11-18', undefined),
          fileRequests(tx, '2026-11-18', { segments, publicId }),
        ]
        await readSorted(
          '2026-11-18',
          sources,
          async (more) => {
            rows.push(...more)
            return Promise.resolve()
          },
          most,
        )
      })
      return rows
    }
    const whole = await read()
    expect(whole).toHaveLength(35)
    expect(await read(3)).toEqual(whole)
  })
})
