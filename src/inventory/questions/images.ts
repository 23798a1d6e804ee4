import { sql, type RawBuilder } from 'kysely'
import { PLACE, type Asked, type Page, type Question } from './question.js'
import { behind, iso, manifestOf, placedIn, wholeSize } from './sql-parts.js'

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
  'size is the bytes of the manifest and its blobs, of an index those of its images as well, each once, without layers that may not be distributed, which are kept elsewhere; it is null while the contents are not known, of an index those of each image.'
const USED =
  'used_at is the newest push, pull or check (HEAD) of the tag or of the manifest it points to, by tag or by digest; where none is known, the time the tag was first seen. What reconcile finds is no use.'

/** Of tag `t` and the manifest `m` it points to. */
export const pushedAt = sql`coalesce(t.pushed_at, t.first_seen_at)`
/** The greatest of several times passes over those that are not known. */
export const usedAt = sql`coalesce(greatest(t.pushed_at, t.pulled_at, t.checked_at, m.used_at), t.first_seen_at)`

type Wanted = { where: RawBuilder<unknown>; order: RawBuilder<unknown>; key: RawBuilder<unknown> }

/** Finds the tags of the page first: sizes are added up for those alone. */
const imagesOf = (
  asked: Asked,
  { limit }: Page,
  { where, order, key }: Wanted,
): RawBuilder<Record<string, unknown>> => sql`
  select r.registry, r.name as repository, t.name as tag, t.digest, m.os, m.architecture,
    case when m.contents_known then ${wholeSize(sql`t.digest`)} end as size,
    ${iso(sql`t.pushed`)} as pushed_at, ${iso(sql`t.used`)} as used_at, t.key
  from (
    select t.repository_id, t.name, t.digest, ${pushedAt} as pushed, ${usedAt} as used, ${key} as key,
      row_number() over (order by ${order}) as place
    from inventory.tags t
      left join lateral ${manifestOf} m on true
    where t.live and t.pointed_at > coalesce(m.deleted_at, '-infinity')
      and ${placedIn(sql`t.repository_id`, asked)} and ${where}
    order by ${order}
    limit ${limit}
  ) t
    join inventory.repositories r on r.id = t.repository_id
    left join inventory.manifests m on m.digest = t.digest
  order by t.place`

const images: Question = {
  name: 'images',
  answers: 'Every image that can be pulled by tag, in the order in which repositories were first seen, and of tags.',
  definition: `An image is a live tag with the manifest or index it points to. ${SIZE} ${USED}`,
  parameters: PLACE,
  columns: COLUMNS,
  key: ['id', 'text'],
  statement: (asked, page) =>
    imagesOf(asked, page, {
      where: behind('>', page.after, [
        [sql`t.repository_id`, 'int'],
        [sql`t.name`, 'text'],
      ]),
      order: sql`t.repository_id, t.name`,
      key: sql`jsonb_build_array(t.repository_id, t.name)`,
    }),
}

const oldImages: Question = {
  name: 'old-images',
  answers: 'Images whose tag was last pushed before a moment, the oldest first.',
  definition: `Where no push is known, the time the tag was first seen stands in. ${SIZE} ${USED}`,
  parameters: {
    older_than: { kind: 'age', required: true, help: 'an age as 90d, 12w, 6m or 1y, or a day as 2026-05-21' },
    ...PLACE,
  },
  columns: COLUMNS,
  key: ['time', 'id', 'text'],
  statement: (asked, page) =>
    imagesOf(asked, page, {
      where: sql`${pushedAt} < ${asked.older_than}::timestamptz and ${behind('>', page.after, [
        [pushedAt, 'timestamptz'],
        [sql`t.repository_id`, 'int'],
        [sql`t.name`, 'text'],
      ])}`,
      order: sql`${pushedAt}, t.repository_id, t.name`,
      key: sql`jsonb_build_array(${iso(pushedAt)}, t.repository_id, t.name)`,
    }),
}

/** In the order of the day, which has an index: one of the times would have to be kept at every pull. */
const unusedImages: Question = {
  name: 'unused-images',
  answers: 'Images that nobody has used since a moment, those whose tags were used longest ago first.',
  definition: `${USED} A check counts as use: clients that find an image unchanged do not pull it. ${SIZE}`,
  parameters: {
    unused_for: { kind: 'age', required: true, help: 'an age as 90d, 12w, 6m or 1y, or a day as 2026-05-21' },
    ...PLACE,
  },
  columns: COLUMNS,
  key: ['day', 'id', 'text'],
  statement: (asked, page) =>
    imagesOf(asked, page, {
      where: sql`t.used_on <= (${asked.unused_for}::timestamptz at time zone 'UTC')::date
        and ${usedAt} < ${asked.unused_for}::timestamptz and ${behind('>', page.after, [
          [sql`t.used_on`, 'date'],
          [sql`t.repository_id`, 'int'],
          [sql`t.name`, 'text'],
        ])}`,
      order: sql`t.used_on, t.repository_id, t.name`,
      key: sql`jsonb_build_array(t.used_on, t.repository_id, t.name)`,
    }),
}

export const imageQuestions: readonly Question[] = [images, oldImages, unusedImages]
