import { sql } from 'kysely'

/** Kinds of networks in which people have no machines of their own, as network files name them. */
const CLOUDS = ['cloud', 'hosting']
/** Kinds of tools, and engines, that people use by hand. */
const LOCAL_KINDS = ['cli', 'builder']
const LOCAL_CLIENTS = ['docker', 'podman']

/** Whether an outcome `o` came from a tool that people use by hand, running in a cloud. */
export const LOCAL_TOOL_IN_CLOUD = sql`(
  coalesce(o.network_kind = any(${CLOUDS}::text[]), false)
  and (o.kind = any(${LOCAL_KINDS}::text[]) or o.client = any(${LOCAL_CLIENTS}::text[]))
)`
