// An embedded database takes seconds to make; tests copy this one, which takes a tenth of one.
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'

export default async () => {
  process.env.SEED ??= String(randomInt(2 ** 31))
  console.log(`\nRandom cases are made with SEED=${process.env.SEED}`)
  const folder = mkdtempSync(join(tmpdir(), 'tallyman-template-'))
  const pglite = await PGlite.create(join(folder, 'db'))
  await pglite.close()
  process.env.TALLYMAN_TEST_TEMPLATE = folder
  globalThis.removeTemplate = () => {
    rmSync(folder, { recursive: true, force: true })
  }
}
