import { sql, type RawBuilder } from 'kysely'
import { wasCheckBeforePush } from '../../inventory/record/check-before-push.js'

/**
 * Whether a pending request is a HEAD that is part of a push: the client pushed the same tag soon after it. A push that arrives
 * before the HEAD is folded is seen whatever the order, which is certain if the push follows within the lateness.
 * @param columns of the request: its id, and its text as in pulls.pending.
 */
export const isCheckBeforePush = ({
  id,
  request,
}: {
  id: RawBuilder<unknown>
  request: RawBuilder<unknown>
}): RawBuilder<unknown> => sql`
  case when strpos(${request}, '"method":"HEAD"') > 0 then ${wasCheckBeforePush(id)} else false end`
