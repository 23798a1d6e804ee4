import { sql, type RawBuilder } from 'kysely'

type Part = RawBuilder<unknown>

/**
 * Whether the registry has sent an event that happened at least `span` after a moment. A process of a registry sends its events
 * one after the other, so until then, events from shortly after the moment may still be queued there.
 */
export const isHeardSince = (moment: Part, registry: Part, span: Part): Part => sql`${moment} <= coalesce((
    select least(last_event_at, last_received_at) - ${span} from receptions where receptions.registry = ${registry}
  ), '-infinity')`

export const registryOfRepository = (repositoryId: Part): Part =>
  sql`(select registry from inventory.repositories where id = ${repositoryId})`
