import { sql } from 'kysely'
import type { Sql } from '../../storage/sql/database.js'
import type { Erasure } from '../erasures/noted-erasures.js'

/** What a name is replaced by. A file is recognized by its lines, so later imports do not need its name. */
const ERASED = '(erased)'

const AT_ONCE = 1_000

/**
 * Erases the names of imported files that contain the name of a repository as a whole, as `/logs/team/app.log` contains `team/app`.
 * The files stay recorded: otherwise another import of a file would restore the erased requests.
 */
export const eraseFileNames = async (
  db: Sql,
  { repository, registries }: Erasure & { repository: string },
): Promise<void> => {
  for (let after = '0'; ;) {
    const { rows } = await sql<{ number: string; name: string }>`
      select number::text as number, name from logs.files
      where number > ${after}::bigint and strpos(name, ${repository}) > 0
        and ${registries ? sql`registry = any(${registries}::text[])` : sql`true`}
      order by logs.files.number limit ${AT_ONCE}
    `.execute(db)
    const last = rows.at(-1)
    if (!last) return
    const named = rows.filter(({ name }) => containsName(name, repository)).map(({ number }) => number)
    await sql`update logs.files set name = ${ERASED} where number = any(${named}::bigint[])`.execute(db)
    after = last.number
  }
}

/** Whether a text contains a name that no letter or digit precedes or follows. */
const containsName = (text: string, name: string): boolean => {
  const isPart = (character: string | undefined): boolean => character !== undefined && /[\p{L}\p{N}]/u.test(character)
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1))
    if (!isPart(text[at - 1]) && !isPart(text[at + name.length])) return true
  return false
}
