import { sql, type RawBuilder } from 'kysely'
import { isMoving } from '../model/moving.js'
import { imageChangedAt, tagChangedAt } from './changed.js'
import { IS_PUSH_UNKNOWN } from './notes.js'
import { REPOSITORY_FILTER, type QueryParameters, type Page, type Question } from './question.js'
import { between, manifestOf, refersToLiveManifest, wholeSizeIfKnown } from './sql-parts.js'
import { chosenTags, endOfTags, type WantedTags } from './tag-portions.js'
import { looksUnusedSince, mayDigestBeUsedSince, unusedScans, unusedSince } from './unused-tags.js'
import { withUsedUnknownIndexes } from './used-unknown-indexes.js'
import { KNOWN_SINCE, USED_BY, usesOf, WITHOUT } from './uses.js'
import { isoText } from '../../storage/sql/moments.js'

const COLUMNS = {
  registry: 'text',
  repository: 'text',
  tag: 'text',
  digest: 'text',
  os: 'text',
  architecture: 'text',
  size: 'bytes',
  pushed_at: 'time',
  used_at: 'time',
} as const

/** How the size of an image is defined. */
export const SIZE =
  'size is the number of bytes of the manifest and its blobs; for an index, also of its images and their blobs. A shared blob counts once. Layers that may not be distributed do not count, because they are stored elsewhere. size is null if the contents of the manifest, or of an image in the index, are unknown. It is also null if the index leads to more than 1,000 manifests, to more than 5,000 manifests and blobs, or through more than 4 levels.'
export const REFERRERS =
  'Tags of signatures and other referrers (sha256-…) are left out unless their subject was deleted: if such a tag is deleted, an image in use may fail a signature policy.'
export const PUSHED =
  'pushed_at is the time of the push since which the tag has pointed to this digest. Later pushes of the same digest, up to 3,000, do not change it.'
const USED =
  'used_at is the newest push, pull or check (HEAD) of the tag, of the manifest it points to, or of an image that this index lists, by tag or by digest; if none is known, used_at is the time when the tag was first seen. A push that changes nothing is no use. Neither is a HEAD by a client that pushes the tag within 15 minutes, nor an object that reconcile finds.'

/** Which images a list of unused images leaves out. */
export const UNKNOWN_PARTS =
  'Images that may be in use are left out. A tag is left out if another image was pushed by it within 60 seconds before its last push or request, because the tag may point to that image. An index is left out if its contents are unknown, or if it leads to more than 300 entries, because an image that it lists may be in use. An image is left out if more than 300 indexes lead to it, or if an index that lists it, directly or through others, was used since. All images of a repository are left out if an index of unknown contents was used there since, or if the repository has too many such indexes: more than 10,000, or more than 100 that other indexes list (300 in all repositories).'

/** The expression of the index that finds old images. */
const newestPush = sql`coalesce(t.pushed_at, t.first_seen_at)`
const usedAt = sql`coalesce(greatest(${imageChangedAt}, u.used_at), t.first_seen_at)`

type Conditions = {
  /** A condition on `t`, `m`, `u` and `d`, see unusedSince. */
  isWanted?: RawBuilder<unknown>
  /** See chosenTags. */
  mayBeUsed?: RawBuilder<unknown>
}

/** Finds the tags of the page first, so that sizes are computed for those only, once per digest. */
const imagesOf = (
  query: QueryParameters,
  { limit }: Page,
  wanted: WantedTags,
  { isWanted = sql`true`, mayBeUsed }: Conditions = {},
): RawBuilder<Record<string, unknown>> => sql`
  with ${chosenTags(query, wanted, mayBeUsed)}, found as materialized (
    select t.sort_key, t.key, t.repository_id, t.name, t.digest, t.pushed_at is null as ${sql.ref(IS_PUSH_UNKNOWN)},
      ${tagChangedAt} as pushed, ${usedAt} as used, u.kinds_known_since
    from chosen t
      join digests d on d.repository_id = t.repository_id and d.digest = t.digest
      left join lateral ${manifestOf} m on true
      cross join lateral ${usesOf(query)} u
    where ${isWanted}
    order by t.sort_key, t.repository_id, t.name
    limit ${limit}
  ), sizes as materialized (
    select t.repository_id, t.digest, m.os, m.architecture, ${wholeSizeIfKnown} as size
    from (select distinct repository_id, digest from found) t
      left join lateral (select * from inventory.manifests where manifests.digest = t.digest offset 0) m on true
  )
  select r.registry, r.name as repository, t.name as tag, t.digest, t.os, t.architecture, t.size,
    ${isoText(sql`t.pushed`)} as pushed_at, ${isoText(sql`t.used`)} as used_at, ${isoText(sql`t.kinds_known_since`)} as kinds_known_since,
    t.${sql.ref(IS_PUSH_UNKNOWN)}, t.key
  from (
    -- A full join never compares each row with each, whatever the statistics of PostgreSQL say.
    select t.*, s.os, s.architecture, s.size
    from found t full join sizes s on s.repository_id = t.repository_id and s.digest = t.digest
    offset 0
  ) t join inventory.repositories r on r.id = t.repository_id
  order by t.sort_key, t.repository_id, t.name`

type Bounds = Pick<Page, 'after' | 'until'>

const allTags = (bounds: Bounds): WantedTags => ({
  scans: [
    between(bounds, [
      [sql`t.repository_id`, 'int'],
      [sql`t.name`, 'text'],
    ]),
  ],
  order: sql`t.repository_id`,
  key: sql`jsonb_build_array(t.repository_id, t.name)`,
  looksWanted: sql`true`,
})

const oldTags = (query: QueryParameters, bounds: Bounds): WantedTags => {
  const moment = sql`${query.older_than}::timestamptz`
  const next = between(bounds, [
    [newestPush, 'timestamptz'],
    [sql`t.repository_id`, 'int'],
    [sql`t.name`, 'text'],
  ])
  return {
    scans: [
      sql`${newestPush} < ${moment} and ${next}`,
      sql`t.is_pushed_again and ${newestPush} >= ${moment} and ${next}`,
    ],
    order: newestPush,
    key: sql`jsonb_build_array(${isoText(newestPush)}, t.repository_id, t.name)`,
    looksWanted: sql`not ${isMoving(sql`t.repository_id`)} and not ${refersToLiveManifest}`,
  }
}

/** In the order of the day, which has an index. An index on a time would have to be updated at every pull. */
const unusedTags = (query: QueryParameters, bounds: Bounds): WantedTags => {
  const moment = sql`${query.unused_for}::timestamptz`
  const next = between(bounds, [
    [sql`t.active_on`, 'date'],
    [sql`t.repository_id`, 'int'],
    [sql`t.name`, 'text'],
  ])
  return {
    scans: unusedScans(moment, query).map((scan) => sql`${scan} and ${next}`),
    order: sql`t.active_on`,
    key: sql`jsonb_build_array(t.active_on, t.repository_id, t.name)`,
    looksWanted: looksUnusedSince(moment, query),
  }
}

const images: Question = {
  name: 'images',
  answers: 'Every image that can be pulled by tag. The order is by repository, as first seen, then by tag.',
  definition: `An image is a live tag with the manifest or index that it points to. ${PUSHED} ${SIZE} ${USED}`,
  parameters: REPOSITORY_FILTER,
  columns: COLUMNS,
  key: ['id', 'text'],
  portion: (query, after, size) => endOfTags(query, allTags({ after }), size),
  statement: (query, page) => imagesOf(query, page, allTags(page)),
}

const oldImages: Question = {
  name: 'old-images',
  answers: 'Images whose tag was last pushed before a moment, in the order of the newest push.',
  definition: `${PUSHED} If no push is known, the time when the tag was first seen is used instead. Images that are pushed again and again without a change come last. ${REFERRERS} ${SIZE} ${USED}`,
  parameters: {
    older_than: { kind: 'age', required: true, help: 'an age such as 90d, 12w, 6m or 1y, or a day such as 2026-05-21' },
    ...REPOSITORY_FILTER,
  },
  columns: COLUMNS,
  key: ['time', 'id', 'text'],
  portion: (query, after, size) => endOfTags(query, oldTags(query, { after }), size),
  statement: (query, page) =>
    imagesOf(query, page, oldTags(query, page), {
      isWanted: sql`${tagChangedAt} < ${query.older_than}::timestamptz`,
    }),
}

const unusedImages: Question = {
  name: 'unused-images',
  offers: 'unused',
  answers: 'Images that have not been used since a moment. The image with the oldest use of its tag comes first.',
  definition: `${USED} A check counts as a use: a client that finds an image unchanged does not pull it. ${REFERRERS} ${UNKNOWN_PARTS} ${WITHOUT} ${PUSHED} ${SIZE}`,
  parameters: {
    unused_for: { kind: 'age', required: true, help: 'an age such as 90d, 12w, 6m or 1y, or a day such as 2026-05-21' },
    ...USED_BY,
    ...REPOSITORY_FILTER,
  },
  columns: COLUMNS,
  columnsWith: KNOWN_SINCE,
  key: ['day', 'id', 'text'],
  prepare: withUsedUnknownIndexes,
  portion: (query, after, size) => endOfTags(query, unusedTags(query, { after }), size),
  statement: (query, page) => {
    const moment = sql`${query.unused_for}::timestamptz`
    return imagesOf(query, page, unusedTags(query, page), {
      isWanted: unusedSince(moment, query),
      mayBeUsed: mayDigestBeUsedSince(moment, query),
    })
  },
}

export const imageQuestions: readonly Question[] = [images, oldImages, unusedImages]
