import type { Database } from '../storage/sql/database.js'
import type { SketchStore } from '../storage/sketches/sketch-store.js'
import { closingLine, counterLine, headingLine, noLines, type ExportHeading } from './export-lines.js'
import { KEY_PREFIX } from './keys.js'
import type { Repositories } from './repositories.js'
import { mergesSoFar } from './repository-merges.js'
import { TABLE_KINDS, TABLES } from './transfer-tables.js'
import { UserError } from '../runtime/user-error.js'

const MERGED =
  'repositories of two registries were merged during the export, so that some of them may be missing; export again'

/** An export ended without its closing line, so that no import accepts it as complete. The message explains what to do. */
export class ExportStopped extends UserError {
  override readonly kind = 'unavailable'
}

/**
 * All counters as lines of JSON: unresolved users, repositories, tallies, and sketches in Redis's format. The last line
 * contains the number of lines of each kind.
 * @throws ExportStopped if repositories moved to another registry during the export: some of them may be missing then
 */
export async function* exportCounters(
  {
    database,
    sketches,
    rebuildStale,
  }: { database: Database; sketches: SketchStore } & Pick<Repositories, 'rebuildStale'>,
  heading: ExportHeading,
): AsyncGenerator<string> {
  const lines = noLines()
  const merges = await mergesSoFar(database.sql)
  yield headingLine(heading)
  for (const kind of TABLE_KINDS) {
    const { page } = TABLES[kind]
    let rows = await page(database.sql, undefined)
    while (rows.length > 0) {
      lines[kind] += rows.length
      for (const row of rows) yield counterLine(kind, row)
      rows = await page(database.sql, rows.at(-1))
    }
    if (kind === 'repository' && (await mergesSoFar(database.sql)) !== merges) throw new ExportStopped(MERGED)
  }
  // An earlier first event may have arrived a moment ago, so that the sketch of the previous one is still to be rebuilt.
  await rebuildStale()
  for await (const { key, bytes, seconds } of sketches.entries(KEY_PREFIX)) {
    lines.sketch++
    yield counterLine('sketch', { key, seconds, bytes: Buffer.from(bytes).toString('base64') })
  }
  yield closingLine(lines)
}
