import { sql, type RawBuilder } from 'kysely'

type Part = RawBuilder<unknown>

/**
 * Whether the contents of a row `manifest` of inventory.manifests are known in a registry: a registry showed the manifest to
 * Tallyman, or events of this registry stated the list. Contents that only another registry stated are not known, because an
 * event proves nothing about another registry (docs/decisions/0022). A list that is too long for the number of repositories
 * with the manifest is not known either (`withheld_in`, docs/decisions/0023).
 * @param registry the name, as an expression
 */
export const isKnownIn = (manifest: Part, registry: Part): Part =>
  sql`(case when ${manifest}.stated_by is null then ${manifest}.contents_known
    else ${registry} = any(${manifest}.stated_by) and ${registry} <> all(coalesce(${manifest}.withheld_in, '{}')) end)`

/**
 * Whether the fields of the entries, such as media types and platforms, are known in a registry. Another registry may have
 * added them.
 */
export const areEntriesKnownIn = (manifest: Part, registry: Part): Part =>
  sql`(case when ${manifest}.completed_by is null then ${isKnownIn(manifest, registry)}
    else ${registry} = any(${manifest}.completed_by) end)`

/**
 * The media type of a row `manifest` if it is known in a registry, else null: an image according to another registry may be an
 * index.
 */
export const mediaTypeIn = (manifest: Part, registry: Part): Part =>
  sql`(case when ${manifest}.typed_by is null or ${registry} = any(${manifest}.typed_by) then ${manifest}.media_type end)`

/** The name of the registry of a repository. */
export const registryOf = (repositoryId: Part): Part =>
  sql`(select registry from inventory.repositories where id = ${repositoryId})`

/** Whether the list of a row `manifest` is stored, in whichever registries it is known. */
export const hasList = (manifest: string): string =>
  `(${manifest}.contents_known or coalesce(cardinality(${manifest}.stated_by), 0) > 0)`

/**
 * Whether the stored list of a row `m` of inventory.manifests is propagated to the repositories of a registry. Unlike `isKnownIn`, this
 * is also true before `contents_known` is: blobs are propagated first.
 */
export const isListPropagatedIn = (m: string, registry: string): string =>
  `(${m}.stated_by is null or (${registry} = any(${m}.stated_by) and ${registry} <> all(coalesce(${m}.withheld_in, '{}'))))`
