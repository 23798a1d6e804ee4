import { sql, type RawBuilder } from 'kysely'
import { mediaTypeIn } from '../model/known-in.js'
import { isHeardSince } from '../model/heard-since.js'
import { isMoving } from '../model/moving.js'
import { areLayersRead, layerReads } from './layer-reads.js'
import { IS_PUSH_UNKNOWN } from './notes.js'
import { endOfPortion } from './portions.js'
import {
  DIGEST,
  REPOSITORY_FILTER,
  type QueryParameters,
  type Key,
  type PortionSize,
  type Question,
} from './question.js'
import { behind, between, isSelected, same } from './sql-parts.js'
import { unknownIndexes } from './unknown-indexes.js'
import { allThatLeadsIsKnown, isUntagged, nothingLeadsTo } from './unused-manifests.js'
import { manifestRequestedAt, manifestUsedAt } from './uses.js'
import { isoText } from '../../storage/sql/moments.js'

const COLUMNS = {
  registry: 'text',
  repository: 'text',
  digest: 'text',
  media_type: 'text',
  artifact_type: 'text',
  subject: 'text',
  os: 'text',
  architecture: 'text',
  size: 'bytes',
  pushed_at: 'time',
  used_at: 'time',
} as const
const describedWith = (
  usedAt: RawBuilder<unknown>,
): RawBuilder<unknown> => sql`r.registry, r.name as repository, o.digest, ${mediaTypeIn(sql`m`, sql`r.registry`)} as media_type, m.artifact_type, m.subject, m.os, m.architecture, m.size,
      ${isoText(sql`coalesce(o.pushed_at, o.first_seen_at)`)} as pushed_at, ${isoText(usedAt)} as used_at,
      o.pushed_at is null as ${sql.ref(IS_PUSH_UNKNOWN)}, jsonb_build_array(o.repository_id, o.digest) as key`
const MANIFEST_ROWS = sql`inventory.repository_manifests o
      join inventory.repositories r on r.id = o.repository_id
      left join inventory.manifests m on m.digest = o.digest`
const byDigest = [
  [sql`o.repository_id`, 'int'],
  [sql`o.digest`, 'text'],
] as const

/**
 * The next live manifests in their order, including those that do not meet the cheap condition `looksWanted`.
 * @param looksWanted a condition on `o`
 */
const endOfManifests = (
  query: QueryParameters,
  { after, looksWanted, ...size }: PortionSize & { after: Key | undefined; looksWanted: RawBuilder<unknown> },
): ReturnType<typeof endOfPortion> =>
  endOfPortion(
    sql`
    select 0 as sort_key, o.repository_id, o.digest as name, o.digest, jsonb_build_array(o.repository_id, o.digest) as key,
      coalesce(${looksWanted}, false) as is_candidate
    from inventory.repository_manifests o
    where o.live and ${same(sql`o.digest`, query.digest)} and ${isSelected(sql`o.repository_id`, query)} and ${behind('>', after, byDigest)}
    order by o.repository_id, o.digest
    limit ${size.scanned}`,
    size,
  )

const manifests: Question = {
  name: 'manifests',
  answers: 'Every live manifest of every repository. The order is by repository, as first seen, then by digest.',
  definition:
    'Manifests are images, indexes and artifacts. A manifest in two repositories has two rows. size is the number of bytes of the manifest alone. A manifest is live if it was seen after its last delete. used_at is its newest push, pull or check; empty if only reconcile found the manifest.',
  parameters: { digest: DIGEST, ...REPOSITORY_FILTER },
  columns: COLUMNS,
  key: ['id', 'text'],
  unknown: ['subjects'],
  portion: (query, after, size) => endOfManifests(query, { after, looksWanted: sql`true`, ...size }),
  statement: (query, { limit, ...bounds }) => sql`
    select ${describedWith(manifestUsedAt)}
    from ${MANIFEST_ROWS}
    where o.live and ${same(sql`o.digest`, query.digest)} and ${isSelected(sql`o.repository_id`, query)}
      and ${between(bounds, byDigest)}
    order by o.repository_id, o.digest
    limit ${limit}`,
}

/**
 * A manifest that was pulled by digest in this time may be running; one that was pushed in this time may not have its index or
 * tag yet.
 */
const PULLED_LATELY = sql`interval '30 days'`
const PUSHED_LATELY = sql`interval '1 day'`

/**
 * A manifest from before the first event may have been used until then. The times of the row are checked first: see isUnused.
 */
const looksUnused = ({ unused_for, now }: QueryParameters): RawBuilder<unknown> =>
  unused_for === undefined
    ? sql`coalesce(o.pushed_at < ${now}::timestamptz - ${PUSHED_LATELY}, o.first_seen_at < ${now}::timestamptz - ${PULLED_LATELY})
        and coalesce(greatest(o.pulled_at, o.checked_at), '-infinity') < ${now}::timestamptz - ${PULLED_LATELY}`
    : sql`coalesce(greatest(o.pushed_at, o.pulled_at, o.checked_at), o.first_seen_at) < ${unused_for}::timestamptz`

/** A fetch of a layer since this time is a use. */
const sinceUsed = ({ unused_for, now }: QueryParameters): RawBuilder<unknown> =>
  unused_for === undefined ? sql`(${now}::timestamptz - ${PULLED_LATELY})` : sql`${unused_for}::timestamptz`

/** The entries of an index and pending checks (`u.requested_at`) are looked up only for rows that look unused. */
const isUnused = (query: QueryParameters): RawBuilder<unknown> =>
  sql`${looksUnused(query)} and ${
    query.unused_for === undefined
      ? sql`coalesce(u.requested_at, '-infinity') < ${query.now}::timestamptz - ${PULLED_LATELY}`
      : sql`coalesce(greatest(o.pushed_at, u.requested_at), o.first_seen_at) < ${query.unused_for}::timestamptz`
  }`

const untagged: Question = {
  name: 'untagged-manifests',
  offers: 'unreferenced and unused',
  answers:
    'Live manifests to which nothing leads and that have not been used lately. The order is by repository, as first seen, then by digest.',
  definition:
    'No live tag of the repository points to the manifest, no live index there lists it, and it has no live subject there. Manifests that may be in use are left out. A manifest is left out if it was pushed by a live tag within 60 seconds before the last push or request of the tag, because the tag may point to it; a later push or request of the tag, or a reconciliation, ends the doubt. If the contents of a live index are unknown, all manifests of its repository are left out. An index that leads to more than 300 entries is left out, and so is a manifest that more than 300 indexes list. A manifest without a known push is left out until reconcile --apply has stored all tags of the repository, because a tag from before the first event may point to it. Notifications do not contain subjects, so a manifest that may be a signature, an SBOM or another referrer is left out. Only images of Docker and OCI (with the configuration and the layers of an image, and nothing else), and indexes of such images, are certainly no referrers. A manifest with a known subject is listed once the subject was deleted. Without unused_for, three more kinds are left out: manifests that were pulled or checked (HEAD) by digest in the last 30 days, or an index of which a part was; manifests that were pushed in the last day before the newest event of the registry; and manifests without a known push that were first seen in the last 30 days.',
  parameters: {
    unused_for: {
      kind: 'age',
      help: 'only manifests that were neither pushed, pulled nor checked since: an age such as 90d, 12w, 6m or 1y, or a day such as 2026-05-21',
    },
    ...REPOSITORY_FILTER,
  },
  columns: COLUMNS,
  key: ['id', 'text'],
  unknown: ['contents', 'manifests'],
  afterDelete: {
    days: 30,
    leftOut:
      'manifests that were pulled or checked in that time, or pushed in the last 24 hours, are left out; --unused-for (unused_for) lists them earlier',
  },
  portion: (query, after, size) => {
    const looksWanted = sql`${looksUnused(query)} and ${isUntagged} and not ${isMoving(sql`o.repository_id`)}`
    return endOfManifests(query, { after, looksWanted, ...size })
  },
  statement: (query, { limit, ...bounds }) => sql`
    with found as materialized (
      select o.repository_id, o.digest, u.requested_at
      from ${MANIFEST_ROWS}
        cross join lateral (select ${manifestRequestedAt} as requested_at offset 0) u
      where o.live and ${isSelected(sql`o.repository_id`, query)} and ${between(bounds, byDigest)}
        and ${isUnused(query)} and ${isHeardSince(sql`coalesce(o.pushed_at, o.first_seen_at)`, sql`r.registry`, PUSHED_LATELY)}
        -- Once for the portion: such indexes are few, and an index of the table has them alone.
        and not o.repository_id = any(array(
          select i.repository_id from ${unknownIndexes(query)} i
          union all
          select u.repository_id from inventory.repository_totals u
          where u.unknown_contents > 0 and u.unknown_indexes > 0 and ${isSelected(sql`u.repository_id`, query)}
        ))
        and ${nothingLeadsTo} and ${allThatLeadsIsKnown}
    ), ${layerReads(sql`select repository_id, digest from found`, sinceUsed(query))}
    select ${describedWith(sql`greatest(o.pushed_at, u.requested_at)`)}
    from found u
      cross join lateral (
        select * from inventory.repository_manifests
        where repository_id = u.repository_id and repository_manifests.digest = u.digest offset 0
      ) o
      join inventory.repositories r on r.id = o.repository_id
      left join inventory.manifests m on m.digest = o.digest
    where not ${areLayersRead(sql`u.repository_id`, sql`u.digest`)}
    order by u.repository_id, u.digest
    limit ${limit}`,
}

export const manifestQuestions: readonly Question[] = [manifests, untagged]
