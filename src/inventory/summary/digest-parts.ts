import { sql, type RawBuilder } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import { createStepSizes, doStep, partOf } from '../../storage/sql/step-sizes.js'

/** Rows of a part: some tenths of a second of the embedded database, in which others wait. */
const ROWS_AT_ONCE = 20_000

type Rows = { table: 'repository_blobs' | 'repository_manifests'; where: RawBuilder<unknown> }

/**
 * Does a step for each part of the digests of a table, in their order. Whoever sends events chooses how digests begin, so a part has a number of
 * rows, and all rows of its digests. A step whose statement was ended is repeated with fewer rows.
 * @param step gets the condition of its part; its statement is its last, so that a step that was ended left nothing behind
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

/** The digest so many rows later; undefined if there are not so many. */
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
