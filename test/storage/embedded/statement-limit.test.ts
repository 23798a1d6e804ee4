import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import { protocol } from '@electric-sql/pglite'
import { sql } from 'kysely'
import { EmbeddedInstance } from '../../../src/storage/embedded/instance.js'
import { openPglite, type EmbeddedDatabase } from '../../../src/storage/embedded/pglite.js'
import { WebAssembly, withSharedMemory } from '../../../src/storage/embedded/shared-memory.js'
import type { RunningStatement } from '../../../src/storage/embedded/statement-limit.js'
import { startWatchdog } from '../../../src/service/watchdog.js'
import { temporaryFolder } from '../../servers/process.js'
import { embeddedFolder } from '../../servers/stores.js'

const { serialize } = protocol

const statementOf = ({ statement }: EmbeddedDatabase): RunningStatement => {
  if (!statement) throw new Error('no other thread can end its statements')
  return statement
}

describe('a statement of the embedded database', () => {
  let folder: ReturnType<typeof temporaryFolder>
  let database: EmbeddedDatabase
  beforeEach(async () => {
    folder = embeddedFolder('empty')
    database = await openPglite(folder.path, { canEndStatements: true })
  })
  afterEach(async () => {
    await database.close()
    folder.remove()
  })

  /** Runs what takes too long, with a limit for its statements. */
  const expectEnded = async (work: () => Promise<unknown>): Promise<void> => {
    const watchdog = startWatchdog({
      limitMs: 600_000,
      lines: { blocked: 'stood still', late: 'took too long' },
      statement: { running: statementOf(database), limitMs: 500 },
    })
    await expect(work()).rejects.toMatchObject({ code: '57014' })
    await watchdog.stop()
  }

  const ENDLESS = sql`with recursive n as (select 1 as i union all select i % 10 + 1 from n) select count(*) from n`

  test('is ended when its time is over, again each time, and what comes next is not', async () => {
    await sql`create table kept (n int)`.execute(database.sql)
    await expectEnded(async () =>
      database.transaction(async (tx) => {
        await sql`insert into kept values (1)`.execute(tx)
        await ENDLESS.execute(tx)
      }),
    )
    await sql`insert into kept values (2)`.execute(database.sql)
    expect((await sql`select n from kept`.execute(database.sql)).rows).toEqual([{ n: 2 }])
    await expectEnded(async () => ENDLESS.execute(database.sql))
  })

  test('is ended in a function of PL/pgSQL, whose library uses the same memory', async () => {
    await expectEnded(async () => sql`do $$ begin loop null; end loop; end $$`.execute(database.sql))
  })

  test('counts as running only while it runs, also when it fails', async () => {
    const { count } = statementOf(database)
    const before = Atomics.load(count, 0)
    await sql`select 1`.execute(database.sql)
    expect(Atomics.load(count, 0)).toBeGreaterThan(before)
    expect(Atomics.load(count, 0) % 2).toBe(0)
    await expect(sql`select 1 / 0`.execute(database.sql)).rejects.toMatchObject({ code: '22012' })
    expect(Atomics.load(count, 0) % 2).toBe(0)
  })

  test('can be ended after the memory of the instance has grown', async () => {
    const { rows } = await sql`select length(repeat('x', 200000000)) as bytes`.execute(database.sql)
    expect(rows).toEqual([{ bytes: 200_000_000 }])
    await expectEnded(async () => ENDLESS.execute(database.sql))
  })
})

test('a statement is not ended between its messages by the timer of its time limit', async () => {
  const folder = embeddedFolder('empty')
  const instance = new EmbeddedInstance(join(folder.path, 'db'))
  await instance.opened()
  await instance.exec('begin')
  await instance.exec('set local statement_timeout = 1')
  for (const message of [serialize.parse({ text: 'rollback' }), serialize.bind(), serialize.execute({})]) {
    await instance.execProtocolStream(message)
    // The timer fires in a turn of the event loop.
    await sleep(20)
  }
  await instance.execProtocolStream(serialize.sync())
  await instance.exec('create table afterwards ()')
  await instance.close()
  folder.remove()
})

describe('a module for a shared memory', () => {
  const module = readFileSync(
    join(dirname(createRequire(import.meta.url).resolve('@electric-sql/pglite')), 'pglite.wasm'),
  )

  test('has the imports and exports that it had, with another memory', () => {
    const before = new WebAssembly.Module(module)
    const after = new WebAssembly.Module(withSharedMemory(module, 32_768))
    expect(WebAssembly.Module.imports(after)).toEqual(WebAssembly.Module.imports(before))
    expect(WebAssembly.Module.exports(after)).toEqual(WebAssembly.Module.exports(before))
  })

  test.each([
    ['imports nothing', [0, 97, 115, 109, 1, 0, 0, 0], /imports no memory/],
    ['imports a function alone', [0, 97, 115, 109, 1, 0, 0, 0, 2, 5, 1, 0, 0, 0, 0], /imports no memory/],
    ['ends early', [0, 97, 115, 109, 1, 0, 0, 0, 2, 5, 1], /ends early/],
    ['has an unknown import', [0, 97, 115, 109, 1, 0, 0, 0, 2, 5, 1, 0, 0, 9, 0], /kind 9/],
  ])('is refused if it %s', (_, bytes, reason) => {
    expect(() => withSharedMemory(new Uint8Array(bytes), 1)).toThrow(reason)
  })
})
