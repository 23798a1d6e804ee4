import { sql, type RawBuilder } from 'kysely'

type Part = RawBuilder<unknown>

/**
 * At most `most` rows of inventory.manifest_children with one value of a column. The range condition and its order make
 * PostgreSQL use the index, whatever its statistics are. With `column = …` PostgreSQL reads the whole table for each digest if
 * many indexes list one digest.
 */
const entriesBy = (column: 'digest' | 'manifest_digest', value: Part, most: number): Part => {
  const by = sql.ref(column)
  return sql`(
    select * from inventory.manifest_children
    where ${by} between ${value} and ${value} order by ${by} limit ${sql.lit(most)}
  )`
}

/** Entries of indexes that list a digest, in all registries. */
export const entriesListing = (digest: Part, most: number): Part => entriesBy('digest', digest, most)

/** Entries of an index. */
export const entriesOf = (digest: Part, most: number): Part => entriesBy('manifest_digest', digest, most)

/** Whether an index lists a digest, in any registry. */
export const isListed = (digest: Part): Part => sql`exists (select from ${entriesListing(digest, 1)} e)`
