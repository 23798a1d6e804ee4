// An embedded database takes seconds to make; tests copy this one, which takes a tenth of one.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'

export default async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tallyman-template-'))
  const pglite = await PGlite.create(join(folder, 'db'))
  await pglite.close()
  process.env.TALLYMAN_TEST_TEMPLATE = folder
  globalThis.removeTemplate = () => {
    rmSync(folder, { recursive: true, force: true })
  }
}
