import { sql, type RawBuilder } from 'kysely'
import { isLiveTag } from '../model/is-live-tag.js'
import { areEntriesKnownIn, mediaTypeIn } from '../model/known-in.js'
import { isMoving } from '../model/moving.js'
import { isListedByLive } from './indexes-above.js'
import { isEmptyIndexSize, isIndexType } from './sql-parts.js'
import { hasTooManyParts } from './uses.js'

type Part = RawBuilder<unknown>

/**
 * Conditions on a manifest `o` in its repository `r` (repository_manifests, repositories), of which `m` (manifests) is known. Whoever cleans up
 * deletes what is listed, so that a manifest is listed only if both hold: nothing known leads to it, and nothing unknown can.
 */

const tagPointsTo: Part = sql`from inventory.tags t
  where t.repository_id = o.repository_id and t.digest = o.digest and t.live
    and ${isLiveTag(sql`o.deleted_at`)}`

/** No live tag points to the manifest: a look-up by the index of their digests, which an aggregate makes PostgreSQL choose. */
export const isUntagged: Part = sql`(select count(*) ${tagPointsTo}) = 0`

/** The same for many at once, so that all tags are read once. */
export const areUntagged: Part = sql`not exists (select ${tagPointsTo})`

/** The manifest refers to no live manifest as its subject. In a repository that is being moved, what leads there may be at the other path. */
export const refersToNothingHere: Part = sql`(
  not ${isMoving(sql`o.repository_id`)}
  and case when m.subject is null then true else not exists (
    select from inventory.repository_manifests s
    where s.repository_id = o.repository_id and s.digest = m.subject and s.live
    offset 0
  ) end
)`

/**
 * No live tag points to the manifest, no live index lists it, directly or through indexes that no event showed, and it refers to
 * no live manifest as its subject. For a page: tags and indexes are looked up for each manifest. What more indexes list than are
 * followed is listed.
 */
export const nothingLeadsTo: Part = sql`(
  ${isUntagged} and not ${isListedByLive(sql`o.repository_id`, sql`o.digest`)} and ${refersToNothingHere}
)`

/** Formats of manifests that have no field for a subject. */
const WITHOUT_SUBJECT =
  sql.raw(`('application/vnd.docker.distribution.manifest.v2+json', 'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v1+prettyjws')`)

/** Whether the manifest is an image of Docker or OCI, by its configuration. */
export const hasImageConfig = (digest: Part): Part => sql`coalesce((
  select b.media_type in ('application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json')
  from inventory.manifest_blobs b where b.manifest_digest = ${digest} and b.position = 0
), false)`

/** The same by what is known in the registry of repository `r`. */
const isImageHere = (digest: Part): Part => sql`(${hasImageConfig(digest)} and coalesce((
  select ${areEntriesKnownIn(sql`known`, sql`r.registry`)} from inventory.manifests known where known.digest = ${digest}
), false))`

/** How the media types of the layers of images begin. Signatures, SBOMs and attestations have others. */
const IMAGE_LAYER = sql.lit(
  '^application/vnd[.](oci[.]image[.]layer[.](nondistributable[.])?v1|docker[.]image[.]rootfs[.](foreign[.])?diff)[.]tar',
)

/**
 * Whether manifest `m` in repository `r` is none of those that say something about another one. Notifications do not contain the subject, so that
 * what they describe is decided by what it consists of: an image has the configuration of an image and layers of images alone,
 * an index of images lists nothing but images. `offset 0`
 * keeps what is looked up from being answered by reading a whole table.
 */
export const isNoReferrer: Part = sql`case
  when m.subject is not null then false
  when m.subject_known or m.config_digest is not null or ${mediaTypeIn(sql`m`, sql`r.registry`)} in ${WITHOUT_SUBJECT} then true
  when ${areEntriesKnownIn(sql`m`, sql`r.registry`)} is not true then false
  when ${isIndexType(sql`m.media_type`)} then case
    -- The size may be that of another registry: it proves nothing about an index that lists something.
    when not exists (select from inventory.manifest_children c where c.manifest_digest = m.digest offset 0) then ${isEmptyIndexSize(sql`m.size`)}
    else not exists (
      select from inventory.manifest_children c where c.manifest_digest = m.digest and not ${isImageHere(sql`c.digest`)} offset 0
    ) end
  else ${hasImageConfig(sql`m.digest`)} and not exists (
    select from inventory.manifest_blobs b
    where b.manifest_digest = m.digest and b.position > 0 and coalesce(b.media_type !~ ${IMAGE_LAYER}, true)
    offset 0
  ) end`

/** Whether the manifest says something about one that was deleted. One that no event showed may be there. */
const hasDeletedSubject: Part = sql`exists (
  select from inventory.repository_manifests s
  where s.repository_id = o.repository_id and s.digest = m.subject and not s.live
  offset 0
)`

/**
 * Whether all that may lead to the manifest is known, apart from indexes of unknown contents. A manifest of which no push is
 * known was there before the first event, and so may be a tag that points to it, until a reconciliation has stored all tags of
 * the repository. That one request or reconcile showed the manifest itself proves nothing. Nor is it known who uses an index that
 * leads to more than is read.
 */
export const allThatLeadsIsKnown: Part = sql`(
  (o.pushed_at is not null or r.reconciled_at is not null)
  -- An index that lists too much is not read to its end.
  and case when ${hasTooManyParts(sql`o.digest`)} then false else coalesce(${isNoReferrer} or ${hasDeletedSubject}, false) end
)`
