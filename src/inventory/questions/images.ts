import { sql, type RawBuilder } from 'kysely'
import { isKnownIn } from '../known-in.js'
import { isMoving } from '../moving.js'
import { imageChangedAt, tagChangedAt } from './changed.js'
import { IS_PUSH_UNKNOWN } from './notes.js'
import { PLACE, type Asked, type Page, type Question } from './question.js'
import { behind, iso, manifestOf, oneAfterTheOther, placedIn, refersToLiveManifest, wholeSize } from './sql-parts.js'
import { unusedScans, unusedSince } from './unused-tags.js'
import { KNOWN_SINCE, USED_BY, usesOf, WITHOUT } from './uses.js'

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

/** What the size of an image is, for a definition. */
export const SIZE =
  'size is the number of bytes of the manifest and its blobs, and for an index also of its images; shared blobs count once, and layers that may not be distributed do not count, as they are stored elsewhere; it is null while the contents of the manifest, or of an image in the index, are unknown, and if the index leads to more than 1,000 manifests or over more than 4 levels.'
export const REFERRERS =
  'Tags of signatures and other referrers (sha256-…) are left out unless their subject was deleted: without them, an image in use fails its policy.'
export const PUSHED =
  'pushed_at is the push since which the tag points to this digest: pushing the same again changes nothing.'
const USED =
  'used_at is the newest push, pull or check (HEAD) of the tag, of the manifest it points to, or of an image that this index lists, by tag or by digest; where none is known, the time the tag was first seen. A push that changes nothing is no use, nor is a HEAD by a client that pushed the tag within 15 minutes, nor what reconcile finds.'

/** What is left out of lists of what nobody uses. */
export const UNKNOWN_PARTS =
  'Left out of what is unused are indexes whose contents are not known, or that lead to more than 300 entries, since an image that they list may be in use; images that more indexes lead to; images that an index lists, directly or through others, if that index was used since; and all images of a repository in which an index whose contents are not known was used since.'

/** In the index by which old images are found. */
const newestPush = sql`coalesce(t.pushed_at, t.first_seen_at)`
const usedAt = sql`coalesce(greatest(${imageChangedAt}, u.used_at), t.first_seen_at)`

/** Tags: the condition of each scan, the first column of its order, and what the next page begins behind. */
type Wanted = { scans: readonly RawBuilder<unknown>[]; order: RawBuilder<unknown>; key: RawBuilder<unknown> }

/** Finds the tags of the page first: sizes are added up for those alone. */
const imagesOf = (
  asked: Asked,
  { limit }: Page,
  { scans, order, key }: Wanted,
): RawBuilder<Record<string, unknown>> => {
  const found = scans.map(
    (scan) => sql`
    select t.repository_id, t.name, t.digest, t.pushed_at is null as ${sql.ref(IS_PUSH_UNKNOWN)}, ${tagChangedAt} as pushed, ${usedAt} as used, u.kinds_known_since, ${key} as key,
      ${order} as place
    from inventory.tags t
      left join lateral ${manifestOf} m on true
      cross join lateral ${usesOf(asked)} u
    where t.live and t.pointed_at > coalesce(m.deleted_at, '-infinity')
      and ${placedIn(sql`t.repository_id`, asked)} and ${scan}
    order by ${order}, t.repository_id, t.name
    limit ${limit}`,
  )
  return sql`
  select r.registry, r.name as repository, t.name as tag, t.digest, m.os, m.architecture,
    case when ${isKnownIn(sql`m`, sql`r.registry`)} then ${wholeSize(sql`t.digest`)} end as size,
    ${iso(sql`t.pushed`)} as pushed_at, ${iso(sql`t.used`)} as used_at, ${iso(sql`t.kinds_known_since`)} as kinds_known_since,
    t.${sql.ref(IS_PUSH_UNKNOWN)}, t.key
  from (select * from (${oneAfterTheOther(found, limit)}) f order by place, repository_id, name limit ${limit}) t
    join inventory.repositories r on r.id = t.repository_id
    left join inventory.manifests m on m.digest = t.digest
  order by t.place, t.repository_id, t.name`
}

const images: Question = {
  name: 'images',
  answers: 'Every image that can be pulled by tag, in the order in which repositories were first seen, and of tags.',
  definition: `An image is a live tag with the manifest or index it points to. ${PUSHED} ${SIZE} ${USED}`,
  parameters: PLACE,
  columns: COLUMNS,
  key: ['id', 'text'],
  statement: (asked, page) =>
    imagesOf(asked, page, {
      scans: [
        behind('>', page.after, [
          [sql`t.repository_id`, 'int'],
          [sql`t.name`, 'text'],
        ]),
      ],
      order: sql`t.repository_id`,
      key: sql`jsonb_build_array(t.repository_id, t.name)`,
    }),
}

const oldImages: Question = {
  name: 'old-images',
  answers: 'Images whose tag was last pushed before a moment, in the order of the newest push.',
  definition: `${PUSHED} Where no push is known, the time the tag was first seen stands in. Images that are pushed again and again without a change come last. ${REFERRERS} ${SIZE} ${USED}`,
  parameters: {
    older_than: { kind: 'age', required: true, help: 'an age as 90d, 12w, 6m or 1y, or a day as 2026-05-21' },
    ...PLACE,
  },
  columns: COLUMNS,
  key: ['time', 'id', 'text'],
  statement: (asked, page) => {
    const moment = sql`${asked.older_than}::timestamptz`
    const next = behind('>', page.after, [
      [newestPush, 'timestamptz'],
      [sql`t.repository_id`, 'int'],
      [sql`t.name`, 'text'],
    ])
    return imagesOf(asked, page, {
      scans: [
        sql`${newestPush} < ${moment} and ${next} and not ${refersToLiveManifest}`,
        sql`t.is_pushed_again and ${newestPush} >= ${moment} and ${tagChangedAt} < ${moment} and ${next}
          and not ${refersToLiveManifest}`,
      ].map((scan) => sql`${scan} and not ${isMoving(sql`t.repository_id`)}`),
      order: newestPush,
      key: sql`jsonb_build_array(${iso(newestPush)}, t.repository_id, t.name)`,
    })
  },
}

/** In the order of the day, which has an index: one of the times would have to be kept at every pull. */
const unusedImages: Question = {
  name: 'unused-images',
  answers: 'Images that have not been used since a moment, those whose tags were used longest ago first.',
  definition: `${USED} A check counts as use: clients that find an image unchanged do not pull it. ${REFERRERS} ${UNKNOWN_PARTS} ${WITHOUT} ${PUSHED} ${SIZE}`,
  parameters: {
    unused_for: { kind: 'age', required: true, help: 'an age as 90d, 12w, 6m or 1y, or a day as 2026-05-21' },
    ...USED_BY,
    ...PLACE,
  },
  columns: COLUMNS,
  columnsWith: KNOWN_SINCE,
  key: ['day', 'id', 'text'],
  statement: (asked, page) => {
    const moment = sql`${asked.unused_for}::timestamptz`
    const next = behind('>', page.after, [
      [sql`t.active_on`, 'date'],
      [sql`t.repository_id`, 'int'],
      [sql`t.name`, 'text'],
    ])
    return imagesOf(asked, page, {
      scans: unusedScans(moment, asked).map((scan) => sql`${scan} and ${unusedSince(moment, asked)} and ${next}`),
      order: sql`t.active_on`,
      key: sql`jsonb_build_array(t.active_on, t.repository_id, t.name)`,
    })
  },
}

export const imageQuestions: readonly Question[] = [images, oldImages, unusedImages]
