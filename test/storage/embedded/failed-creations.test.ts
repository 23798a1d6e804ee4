import { existsSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename, dirname, join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import type pg from 'pg'
import { EmbeddedDatabaseFailed } from '../../../src/storage/embedded/failure.js'
import { EmbeddedInstance } from '../../../src/storage/embedded/instance.js'
import { createEmbeddedPool } from '../../../src/storage/embedded/pool.js'
import type { temporaryFolder } from '../../servers/process.js'
import { embeddedFolder } from '../../servers/stores.js'

/** The file system of Node.js, as PGlite calls it. */
const nodeFiles = createRequire(import.meta.url)('node:fs') as Record<string, (...given: unknown[]) => unknown>

/** Calls of a function fail if their path contains a text, until the end. */
const failing = (name: string, code: string, text: string): { end: () => void; calls: () => number } => {
  const original = nodeFiles[name]
  if (!original) throw new Error(`there is no ${name}`)
  let calls = 0
  nodeFiles[name] = (...given) => {
    if (!String(given[0]).includes(text)) return original(...given)
    calls++
    throw Object.assign(new Error(`${code}: it fails`), { code })
  }
  return {
    calls: () => calls,
    end: () => {
      nodeFiles[name] = original
    },
  }
}

type Internals = {
  FS: {
    streams: unknown[]
    mkdir: (path: string) => object
    lookupPath: (path: string) => { node: object }
  }
  NODEFS: { createNode: (parent: object, name: string, mode: number) => object }
}
/** The directory of the database in the file system of an instance. */
const ROOT = '/pglite/data'
const FILE_MODE = 0o100600

let folder: ReturnType<typeof temporaryFolder>
let instance: EmbeddedInstance
let pool: pg.Pool
let end: () => void
beforeEach(async () => {
  end = () => undefined
  folder = embeddedFolder('empty')
  instance = new EmbeddedInstance(data())
  await instance.opened()
  pool = createEmbeddedPool(instance)
  await pool.query('create table t (n int); insert into t select generate_series(1, 10)')
})
afterEach(async () => {
  end()
  await pool.end()
  await instance.close()
  folder.remove()
})
const data = (): string => join(folder.path, 'db')
const internals = (): Internals => instance.Module as object as Internals
/** The file of free space, which the first vacuum creates. */
const freeSpaceFile = async (): Promise<string> => {
  const { rows } = await pool.query<{ path: string }>(`select pg_relation_filepath('t') as path`)
  return `${rows[0]?.path ?? ''}_fsm`
}
const vacuum = async (): Promise<unknown> => pool.query('vacuum t')

describe('a file that the embedded database could not create', () => {
  test.each([
    ['ENOSPC', '53100'],
    ['EDQUOT', '53100'],
    ['EMFILE', '53000'],
    ['ENFILE', '53000'],
    ['EIO', '58030'],
    ['EROFS', '42501'],
    ['Unknown system error -117', '58030'],
  ])('because of %s is created when the cause is gone', async (code, sqlState) => {
    const file = await freeSpaceFile()
    const failure = failing('writeFileSync', code, file)
    end = failure.end
    await expect(vacuum()).rejects.toMatchObject({ code: sqlState })
    expect(failure.calls()).toBeGreaterThan(0)
    end()
    await vacuum()
    expect(existsSync(join(data(), file))).toBe(true)
    expect(instance.failure).toBeUndefined()
  })

  test('because it was created and not opened is not left behind, and takes no descriptor', async () => {
    const file = await freeSpaceFile()
    const before = internals().FS.streams.filter(Boolean).length
    const failure = failing('openSync', 'EMFILE', file)
    end = failure.end
    for (let i = 0; i < 3; i++) await expect(vacuum()).rejects.toMatchObject({ code: '53000' })
    expect(internals().FS.streams.filter(Boolean).length).toBeLessThanOrEqual(before)
    expect(existsSync(join(data(), file))).toBe(false)
    end()
    await vacuum()
    expect(existsSync(join(data(), file))).toBe(true)
  })

  test('may also be a directory', () => {
    const failure = failing('mkdirSync', 'ENOSPC', 'pg_new')
    end = failure.end
    const create = (): unknown => internals().FS.mkdir(`${ROOT}/pg_new`)
    expect(create).toThrow()
    end()
    create()
    expect(readdirSync(data())).toContain('pg_new')
  })

  test('although it is not on the disk ends the database, because only a new process can create it', async () => {
    const file = await freeSpaceFile()
    const parent = internals().FS.lookupPath(`${ROOT}/${dirname(file)}`).node
    internals().NODEFS.createNode(parent, basename(file), FILE_MODE)
    await expect(vacuum()).rejects.toBeInstanceOf(EmbeddedDatabaseFailed)
    expect(instance.failure?.message).toContain(`could not create file "${file}": File exists, but it is missing`)
    await expect(pool.query('select 1')).rejects.toBe(instance.failure)
  })
})
