import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { afterEach, beforeEach, expect, test } from '@jest/globals'
import { duringBackupOn, type DuringBackup } from '../../../src/storage/embedded/backup.js'
import { copyDatabase } from '../../../src/storage/embedded/dump.js'
import { embeddedFolder } from '../../servers/stores.js'

let folder: ReturnType<typeof embeddedFolder>
let database: PGlite
let duringBackup: DuringBackup
beforeEach(async () => {
  folder = embeddedFolder('empty')
  database = await PGlite.create(join(folder.path, 'db'))
  await database.query('create table kept (n int primary key, filler text)')
  duringBackup = duringBackupOn(async (statement) => database.query(statement))
})
afterEach(async () => {
  await database.close()
  folder.remove()
})

const copy = (): string => join(folder.path, 'copy')
const insert = async (from: number): Promise<unknown> =>
  database.query(`insert into kept select n, repeat('x', 500) from generate_series(${from}, ${from + 4_999}) n`)
const countIn = async (directory: string): Promise<unknown> => {
  const restored = await PGlite.create(directory)
  const { rows } = await restored.query('select count(*)::int as count from kept')
  await restored.close()
  return rows
}

test('statements are executed while files are copied, and what was stored until then is in the copy', async () => {
  await copyDatabase(
    {
      data: join(folder.path, 'db'),
      duringBackup: async (work) =>
        duringBackup(async () => {
          await insert(0)
          await work()
          // What follows is in other segments of the log.
          await database.query('select pg_switch_wal()')
          // Pages that were copied change, and files become longer than their copies.
          await database.query("update kept set filler = repeat('y', 500) where n % 2 = 0")
          await database.query('select pg_switch_wal()')
          await insert(5_000)
        }),
    },
    copy(),
  )
  await insert(10_000)
  expect(await countIn(copy())).toEqual([{ count: 10_000 }])
})

test('files of the running process and caches are not in the copy', async () => {
  const data = join(folder.path, 'db')
  const transient = ['postmaster.pid', 'postmaster.opts', 'global/pg_internal.init', 'base/pgsql_tmp1.0']
  for (const file of transient) writeFileSync(join(data, file), 'x')
  await copyDatabase({ data, duringBackup }, copy())
  const copied = readdirSync(copy(), { recursive: true }).map(String)
  expect(transient.filter((file) => copied.includes(file))).toEqual([])
  await insert(0)
  expect(await countIn(copy())).toEqual([{ count: 0 }])
})

test('a checkpoint that removes the log during the copy has it made again', async () => {
  let attempts = 0
  const removing: DuringBackup = async (work) =>
    duringBackup(async () => {
      await work()
      if (++attempts > 1) return
      await database.query('select pg_switch_wal()')
      await insert(0)
      await database.query('checkpoint')
    })
  await copyDatabase({ data: join(folder.path, 'db'), duringBackup: removing }, copy())
  expect(attempts).toBe(2)
  expect(await countIn(copy())).toEqual([{ count: 5_000 }])
})

test('backups are made one at a time, and one that fails does not keep the next from being made', async () => {
  const failed = duringBackup(async () => Promise.reject(new Error('no space')))
  const next = duringBackup(async () => Promise.resolve())
  await expect(failed).rejects.toThrow('no space')
  expect(existsSync(join(folder.path, 'db', 'pg_wal', (await next).first))).toBe(true)
})
