import { sql } from 'kysely'

/** Networks in which people have no machines of their own, in the words of files of networks. */
const CLOUDS = ['cloud', 'hosting']
/** Kinds of tools, and engines, that people use by hand. */
const LOCAL_KINDS = ['cli', 'builder']
const LOCAL_CLIENTS = ['docker', 'podman']

/** Whether an outcome `o` is of a tool that people use by hand, from a cloud. */
export const LOCAL_TOOL_IN_CLOUD = sql`(
  coalesce(o.network_kind = any(${CLOUDS}::text[]), false)
  and (o.kind = any(${LOCAL_KINDS}::text[]) or o.client = any(${LOCAL_CLIENTS}::text[]))
)`
