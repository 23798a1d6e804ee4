import { sql, type RawBuilder } from 'kysely'
import { isLiveTag } from '../model/is-live-tag.js'
import { areEntriesKnownIn, mediaTypeIn } from '../model/known-in.js'
import { isMoving } from '../model/moving.js'
import { mayBeTagged } from '../model/tag-doubt.js'
import { isListedByLive } from './indexes-above.js'
import { isEmptyIndexSize, isIndexType } from './sql-parts.js'
import { hasTooManyParts } from './uses.js'

type Part = RawBuilder<unknown>

/**
 * Conditions on a manifest `o` in its repository `r` (repository_manifests, repositories), with `m` (manifests). Listed
 * manifests are deleted by clean-up, so a manifest is listed only if both are true: nothing known leads to it, and nothing
 * unknown can.
 */

const tagPointsTo: Part = sql`from inventory.tags t
  where t.repository_id = o.repository_id and t.digest = o.digest and t.live
    and ${isLiveTag(sql`o.deleted_at`)}`

/** No live tag points to the manifest by the last event of the tag. The aggregate makes PostgreSQL use the index on the digests of tags. */
export const isUntagged: Part = sql`(select count(*) ${tagPointsTo}) = 0`

/** Like isUntagged, but for many manifests at once: all tags are read once. */
export const areUntagged: Part = sql`not exists (select ${tagPointsTo})`

/**
 * The manifest refers to no live manifest as its subject. In a repository that is being moved, tags and indexes that lead to it
 * may be at the other path.
 */
export const refersToNothingHere: Part = sql`(
  not ${isMoving(sql`o.repository_id`)}
  and case when m.subject is null then true else not exists (
    select from inventory.repository_manifests s
    where s.repository_id = o.repository_id and s.digest = m.subject and s.live
    offset 0
  ) end
)`

/**
 * No live tag points to the manifest or may point to it, and it refers to no live manifest as its subject. No live index lists it, directly or
 * through indexes that no event showed. For a page: tags and indexes are looked up for each manifest. If more indexes list the
 * manifest than are followed, it counts as listed.
 */
export const nothingLeadsTo: Part = sql`(
  ${isUntagged} and not ${isListedByLive(sql`o.repository_id`, sql`o.digest`)} and ${refersToNothingHere} and not ${mayBeTagged}
)`

/** Manifest formats without a field for a subject. */
const WITHOUT_SUBJECT =
  sql.raw(`('application/vnd.docker.distribution.manifest.v2+json', 'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v1+json', 'application/vnd.docker.distribution.manifest.v1+prettyjws')`)

/** Whether the manifest is an image of Docker or OCI, by its configuration. */
export const hasImageConfig = (digest: Part): Part => sql`coalesce((
  select b.media_type in ('application/vnd.oci.image.config.v1+json', 'application/vnd.docker.container.image.v1+json')
  from inventory.manifest_blobs b where b.manifest_digest = ${digest} and b.position = 0
), false)`

/** Whether the manifest is such an image by what is known in the registry of repository `r`. */
const isImageHere = (digest: Part): Part => sql`(${hasImageConfig(digest)} and coalesce((
  select ${areEntriesKnownIn(sql`known`, sql`r.registry`)} from inventory.manifests known where known.digest = ${digest}
), false))`

/** The start of the media types of image layers. Signatures, SBOMs and attestations have others. */
const IMAGE_LAYER = sql.lit(
  '^application/vnd[.](oci[.]image[.]layer[.](nondistributable[.])?v1|docker[.]image[.]rootfs[.](foreign[.])?diff)[.]tar',
)

/**
 * Whether manifest `m` in repository `r` certainly refers to no other manifest. Notifications do not contain the subject, so
 * the contents decide: an image has the configuration of an image and only layers of images; an index of images lists only
 * images. `offset 0` keeps PostgreSQL from reading a whole table for a look-up.
 */
export const isNoReferrer: Part = sql`case
  when m.subject is not null then false
  when m.subject_known or m.config_digest is not null or ${mediaTypeIn(sql`m`, sql`r.registry`)} in ${WITHOUT_SUBJECT} then true
  when ${areEntriesKnownIn(sql`m`, sql`r.registry`)} is not true then false
  when ${isIndexType(sql`m.media_type`)} then case
    -- The size may have been stated by another registry: it proves nothing about an index that lists something.
    when not exists (select from inventory.manifest_children c where c.manifest_digest = m.digest offset 0) then ${isEmptyIndexSize(sql`m.size`)}
    else not exists (
      select from inventory.manifest_children c where c.manifest_digest = m.digest and not ${isImageHere(sql`c.digest`)} offset 0
    ) end
  else ${hasImageConfig(sql`m.digest`)} and not exists (
    select from inventory.manifest_blobs b
    where b.manifest_digest = m.digest and b.position > 0 and coalesce(b.media_type !~ ${IMAGE_LAYER}, true)
    offset 0
  ) end`

/** Whether the manifest refers to a deleted manifest. A subject that no event showed may exist. */
const hasDeletedSubject: Part = sql`exists (
  select from inventory.repository_manifests s
  where s.repository_id = o.repository_id and s.digest = m.subject and not s.live
  offset 0
)`

/**
 * Whether everything that may lead to the manifest is known, apart from indexes of unknown contents. A manifest without a known
 * push existed before the first event. So may a tag that points to it, until a reconciliation has stored all tags of the
 * repository. A request for the manifest, or a reconciliation that found it, proves nothing. If an index leads to more than is
 * read, its users are unknown, too.
 */
export const allThatLeadsIsKnown: Part = sql`(
  (o.pushed_at is not null or r.reconciled_at is not null)
  -- An index with too many entries is not read to its end.
  and case when ${hasTooManyParts(sql`o.digest`)} then false else coalesce(${isNoReferrer} or ${hasDeletedSubject}, false) end
)`
