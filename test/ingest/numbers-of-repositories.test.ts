import { afterAll, beforeEach, beforeAll, describe, expect, test } from '@jest/globals'
import { sql } from 'kysely'
import { raiseSequences } from '../../src/schema/raise-sequences.js'
import { createCounting } from '../servers/counting.js'
import { anEvent, DIGEST } from '../servers/events.js'
import { STORE_PAIRS, type TestStores } from '../servers/stores.js'

const SEQUENCE = 'inventory.repositories_id_seq'
const LARGEST = 2_147_483_647

describe.each(STORE_PAIRS)('numbers of repositories, on %s', (_, open) => {
  let stores: TestStores
  beforeAll(async () => {
    stores = await open()
  })
  afterAll(async () => stores.close())
  beforeEach(async () => {
    await stores.clear()
    await setLast(1_000)
  })

  const setLast = async (number: number): Promise<void> => {
    await sql`select setval(${SEQUENCE}, ${number}::bigint)`.execute(stores.database.sql)
  }
  const last = async (): Promise<number> => {
    const { rows } = await sql<{ last: string }>`select last_value as last from ${sql.table(SEQUENCE)}`.execute(
      stores.database.sql,
    )
    return Number(rows[0]?.last)
  }
  const pull = (id: number, repository = 'team/app'): ReturnType<typeof anEvent> =>
    anEvent({ id, repository, action: 'pull', tag: '1', digest: DIGEST, object: 'manifest' })

  test('only a new repository takes one', async () => {
    const { ingest } = createCounting(stores)
    await ingest([pull(1), pull(2, 'team/other')])
    expect(await last()).toBe(1_002)
    for (let id = 3; id < 23; id++) await ingest([pull(id), pull(100 + id, 'team/other')])
    expect(await last()).toBe(1_002)
  })

  test('two processes that see a repository first agree on its number', async () => {
    const processes = [createCounting(stores), createCounting(stores)]
    await Promise.all(processes.map(async ({ ingest }, i) => ingest([pull(i), pull(10 + i, 'team/other')])))
    const { rows } = await sql<{ ids: number }>`
      select count(distinct repository_id)::int as ids from inventory.repository_manifests
    `.execute(stores.database.sql)
    expect(rows).toEqual([{ ids: 2 }])
  })

  test.each([
    ['no numbers are left', LARGEST],
    ['a number is given again', 1_000],
  ])('if %s, only the notification of a new repository fails', async (_, number) => {
    const { ingest } = createCounting(stores)
    // More rows than a retry tries numbers.
    await ingest(Array.from({ length: 400 }, (_, i) => pull(1_000 + i, `team/app${i}`)))
    await setLast(number)
    const answers = await Promise.allSettled([
      ingest([pull(31, 'team/app1')]),
      ...Array.from({ length: 10 }, async (_, i) => ingest([pull(40 + i, 'team/app2'), pull(60 + i, `team/new${i}`)])),
      ingest([pull(32, 'team/app3')]),
    ])
    expect(answers.at(0)).toEqual({ status: 'fulfilled', value: ['recorded'] })
    expect(answers.at(-1)).toEqual({ status: 'fulfilled', value: ['recorded'] })
    const refused = answers.slice(1, -1)
    for (const answer of refused) {
      expect(String(answer.status === 'rejected' && answer.reason)).toMatch(/nextval: reached maximum|duplicate key/)
    }

    if (number === LARGEST) await setLast(3_000)
    else await raiseSequences(stores.database.sql)
    expect(await ingest([pull(40, 'team/app2'), pull(60, 'team/new0')])).toEqual(['repeated', 'recorded'])
  })
})
