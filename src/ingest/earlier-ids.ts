import type { EarlierIds, EventId, EventIdentity } from '../events/registry-event.js'
import { arrayText } from '../storage/sql/array-text.js'
import type { HotStatement, Run } from '../storage/sql/database.js'

/** The largest number of ids in one statement, so that the events of a large body do not delay other notifications. */
const IDS_AT_ONCE = 5_000

/**
 * Replaces the ids of events by the ids under which they are already recorded: by an earlier version with other ids, or under a
 * name that is now an alias of the registry. So these events are recognised as repeated, and count once. Only events without a
 * UUID need a query.
 */
export const useEarlierIds = async (run: Run, events: readonly EventIdentity[]): Promise<void> => {
  const wantedBy = events.map(({ earlierIds }) => (earlierIds ? wantedOf(earlierIds()) : []))
  const wanted = wantedBy.flat()
  const recorded = new Set<EventId>()
  for (let from = 0; from < wanted.length; from += IDS_AT_ONCE) {
    const some = wanted.slice(from, from + IDS_AT_ONCE)
    const values = [arrayText(some.map(({ id }) => id)), arrayText(some.map(({ until }) => until))]
    for (const { id } of await run<{ id: EventId }>(RECORDED, values)) recorded.add(id)
  }
  if (recorded.size === 0) return
  for (const [i, event] of events.entries()) {
    event.id = wantedBy[i]?.find(({ id }) => recorded.has(id))?.id ?? event.id
  }
}

/**
 * An id from an earlier version is accepted only if it was recorded before the upgrade: afterwards, any sender could have sent
 * it.
 */
type Wanted = { id: EventId; until: 'now' | 'marked' | 'scoped' }

const wantedOf = ({ aliases = [], unmarked, unscoped }: EarlierIds): Wanted[] => [
  ...aliases.map((id) => ({ id, until: 'now' as const })),
  ...unmarked.map((id) => ({ id, until: 'marked' as const })),
  ...(unscoped === undefined ? [] : [{ id: unscoped, until: 'scoped' as const }]),
]

const RECORDED: HotStatement = {
  name: 'recorded_earlier_ids',
  text: `
    select wanted.id::text
    from unnest($1::uuid[], $2::text[]) as wanted (id, until)
      cross join lateral (select seen_on from event_ids where id = wanted.id offset 0) stored
    where case until when 'now' then true
      when 'marked' then seen_on <= (select unmarked_until from event_id_scope)
      else seen_on <= (select unscoped_until from event_id_scope) end`,
}
