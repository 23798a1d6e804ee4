import { checksBeforePush } from '../../inventory/record/check-before-push.js'
import type { Sql } from '../../storage/database.js'

/** HEADs of one statement: to look up one may read some hundred rows of pushes and of indexes. */
const AT_ONCE = 100

/**
 * Pending requests with HEAD that are parts of pushes: the client pushed the same tag soon after it. A push that arrives before the
 * HEAD is folded is seen whatever the order, which is certain if the push follows within the lateness.
 * @param requests each with its text as in pulls.pending
 * @returns their ids
 */
export const readChecksBeforePush = async (
  tx: Sql,
  requests: readonly { id: string; request: string }[],
): Promise<ReadonlySet<string>> => {
  const heads = requests.filter(({ request }) => request.includes('"method":"HEAD"')).map(({ id }) => id)
  const found = new Set<string>()
  for (let from = 0; from < heads.length; from += AT_ONCE) {
    const { rows } = await checksBeforePush(heads.slice(from, from + AT_ONCE)).execute(tx)
    for (const { id } of rows) found.add(id)
  }
  return found
}
