import { sql, type RawBuilder } from 'kysely'

type Part = RawBuilder<unknown>

/**
 * Whether an event of the registry was received that happened `span` after a moment, or later. A process of a registry sends its events
 * one after the other: until then, what followed on the moment may be in its queue.
 */
export const isHeardSince = (moment: Part, registry: Part, span: Part): Part => sql`${moment} <= coalesce((
    select least(last_event_at, last_received_at) - ${span} from receptions where receptions.registry = ${registry}
  ), '-infinity')`

export const registryOfRepository = (repositoryId: Part): Part =>
  sql`(select registry from inventory.repositories where id = ${repositoryId})`
