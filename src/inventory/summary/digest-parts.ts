import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { createStepSizes, doStep, partOf } from '../../storage/sql/step-sizes.js'

/** Rows of a part: they take some tenths of a second on the embedded database, which blocks others. */
const ROWS_AT_ONCE = 20_000

type Rows = { table: 'repository_blobs' | 'repository_manifests'; where: RawBuilder<unknown> }

/**
 * Runs a step for each part of the digests of a table, in their order. Senders of events choose how digests begin, so a part is
 * a number of rows, with all rows of its digests. A step whose statement was cancelled is repeated with fewer rows.
 * @param step receives the condition of its part. Its statement must be its last action, so that a cancelled step has no effect
 */
export const inDigestParts = async (
  db: Sql,
  { table, where }: Rows,
  step: (isInPart: RawBuilder<unknown>) => Promise<void>,
): Promise<void> => {
  const sizes = createStepSizes()
  for (let after: string | undefined = ''; after !== undefined;) {
    const from: string = after
    after = await doStep(sizes, { kind: table, size: ROWS_AT_ONCE }, async (divisor) => {
      const to = await digestAfter(db, { table, where }, from, partOf(ROWS_AT_ONCE, divisor))
      await step(to === undefined ? sql`digest > ${from}` : sql`digest > ${from} and digest <= ${to}`)
      return to
    })
  }
}

/** The digest so many rows later; undefined if there are fewer rows. */
const digestAfter = async (
  db: Sql,
  { table, where }: Rows,
  digest: string,
  count: number,
): Promise<string | undefined> => {
  const { rows } = await sql<{ digest: string }>`
    select digest from inventory.${sql.raw(table)} where ${where} and digest > ${digest}
    order by digest offset ${count - 1} limit 1
  `.execute(db)
  return rows[0]?.digest
}
