import { sql } from 'kysely'
import { parseTimestamp, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/sql/database.js'
import { isoText } from '../../storage/sql/moments.js'
import { isLiveTag } from '../model/is-live-tag.js'
import { isMoving } from '../model/moving.js'

/** What the inventory contains about an object or a tag, live or not. */
export type RecordedObject = {
  live: boolean
  /** When it was last seen, and deleted; missing if no event stated it. */
  seen?: Micros | undefined
  deleted?: Micros | undefined
  size?: number | undefined
}
export type RecordedTag = Omit<RecordedObject, 'size'> & { digest?: string | undefined }

/** What the inventory contains of one repository. */
export type RecordedState = {
  /** When the whole repository was deleted. */
  deleted?: Micros | undefined
  /** Whether a part of the repository may be at another path. */
  isMoving?: true
  manifests: Map<string, RecordedObject>
  blobs: Map<string, RecordedObject>
  tags: Map<string, RecordedTag>
}

/** Whether a delete of this blob is known: then a manifest that lists the blob does not show that it exists. */
export const isDoubtful = ({ blobs, deleted }: RecordedState, digest: string): boolean => {
  const blob = blobs.get(digest)
  return blob ? !blob.live : deleted !== undefined
}

type Row = {
  what: 'repository' | 'move' | 'manifest' | 'blob' | 'tag'
  name: string
  digest: string | null
  live: boolean
  seen: string | null
  deleted: string | null
  size: string | null
}

/** Reads all that is recorded of a repository in one statement, so that all rows are of one moment. */
export const readRecordedState = async (db: Sql, registry: string, repository: string): Promise<RecordedState> => {
  const { rows } = await sql<Row>`
    with target as (
      select id, deleted_at, ${isMoving(sql`id`)} as is_moving from inventory.repositories where registry = ${registry} and name = ${repository}
    ), found as (
      select 'repository' as what, '' as name, null as digest, true as live, null::timestamptz as seen,
        deleted_at as deleted, null::bigint as size
      from target
      union all
      select 'move', '', null, true, null, null, null from target where is_moving
      union all
      select 'manifest', o.digest, o.digest, o.live, o.seen_at, o.deleted_at, null
      from target join inventory.repository_manifests o on o.repository_id = target.id
      union all
      select 'blob', o.digest, o.digest, o.live, o.seen_at, o.deleted_at, o.size
      from target join inventory.repository_blobs o on o.repository_id = target.id
      union all
      select 'tag', t.name, t.digest,
        coalesce(${isLiveTag(sql`greatest(t.deleted_at, o.deleted_at)`)}, false),
        t.pointed_at, greatest(t.deleted_at, o.deleted_at), null
      from target join inventory.tags t on t.repository_id = target.id
        left join inventory.repository_manifests o on o.repository_id = target.id and o.digest = t.digest
    )
    select what, name, digest, live, size::text,
      ${isoText(sql`seen`)} as seen,
      ${isoText(sql`deleted`)} as deleted
    from found
  `.execute(db)
  const recorded: RecordedState = { manifests: new Map(), blobs: new Map(), tags: new Map() }
  for (const row of rows) keep(recorded, row)
  return recorded
}

const keep = (recorded: RecordedState, { what, name, digest, live, seen, deleted, size }: Row): void => {
  const times = { live, seen: micros(seen), deleted: micros(deleted) }
  if (what === 'repository') recorded.deleted = times.deleted
  else if (what === 'move') recorded.isMoving = true
  else if (what === 'tag') recorded.tags.set(name, { ...times, digest: digest ?? undefined })
  else {
    const object = { ...times, size: size === null ? undefined : Number(size) }
    recorded[what === 'manifest' ? 'manifests' : 'blobs'].set(name, object)
  }
}

/** Whole microseconds, which a Date would truncate. */
const micros = (time: string | null): Micros | undefined => (time === null ? undefined : parseTimestamp(time))

/** What the inventory contains about a manifest, in any repository; a field is missing if nothing stated it. */
export type Described = {
  size?: number | undefined
  mediaType?: string | undefined
  contentsKnown?: boolean
  /** Whether a registry has shown the manifest to Tallyman: events contain no subject. */
  subjectKnown?: boolean
  hasPlatform?: boolean
}

type DescribedRow = {
  digest: string
  size: string | null
  media_type: string | null
  contents_known: boolean
  subject_known: boolean
  has_platform: boolean
}

export const readDescribed = async (db: Sql, digests: readonly string[]): Promise<Map<string, Described>> => {
  if (digests.length === 0) return new Map()
  const { rows } = await sql<DescribedRow>`
    select digest, size::text, media_type, contents_known, subject_known, coalesce(os, architecture) is not null as has_platform
    from inventory.manifests where digest = any(${digests}::text[])
  `.execute(db)
  return new Map(
    rows.map(({ digest, size, media_type, contents_known, subject_known, has_platform }) => [
      digest,
      {
        size: size === null ? undefined : Number(size),
        mediaType: media_type ?? undefined,
        contentsKnown: contents_known,
        subjectKnown: subject_known,
        hasPlatform: has_platform,
      },
    ]),
  )
}

/** Names of the repositories of a registry with live objects. */
export const livingRepositories = async (db: Sql, registry: string): Promise<string[]> => {
  const { rows } = await sql<{ name: string }>`
    select name from inventory.repositories r
    where registry = ${registry} and (
      exists (select from inventory.repository_manifests o where o.repository_id = r.id and o.live)
      or exists (select from inventory.repository_blobs o where o.repository_id = r.id and o.live)
      or exists (select from inventory.live_tags t where t.repository_id = r.id)
    )
    order by name
  `.execute(db)
  return rows.map(({ name }) => name)
}
