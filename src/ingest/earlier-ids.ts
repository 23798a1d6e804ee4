import { sql } from 'kysely'
import type { EventId, RegistryEvent, UnreadableEvent } from '../events/registry-event.js'
import type { Sql } from '../storage/database.js'

/**
 * Gives events the ids under which they are recorded already: by a version that did not make the registry part of ids, or under a
 * name of the registry that is an alias now. So they are repeated and count once. Only events without a UUID cost a query.
 */
export const useEarlierIds = async (db: Sql, events: readonly (RegistryEvent | UnreadableEvent)[]): Promise<void> => {
  const unscoped = events.flatMap(({ earlierIds }) => earlierIds?.unscoped ?? [])
  if (unscoped.length === 0) return
  const aliases = events.flatMap(({ earlierIds }) => earlierIds?.aliases ?? [])
  const { rows } = await sql<{ id: EventId }>`
    select id from event_ids where id = any(${aliases}::uuid[])
    union all
    select id from event_ids where id = any(${unscoped}::uuid[]) and seen_on <= (select unscoped_until from event_id_scope)
  `.execute(db)
  if (rows.length === 0) return
  const recorded = new Set(rows.map(({ id }) => id))
  for (const event of events) {
    const { earlierIds } = event
    if (earlierIds) event.id = [...earlierIds.aliases, earlierIds.unscoped].find((id) => recorded.has(id)) ?? event.id
  }
}
