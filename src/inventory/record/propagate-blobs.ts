import type { HotStatement, Run } from '../../storage/sql/database.js'
import { isImpliedEntry } from '../model/is-implied-entry.js'
import { isListPropagatedIn } from '../model/known-in.js'
import { lockManifests } from './lock-manifests.js'
import { settleContents } from './settle-contents.js'
import type { SeenManifest, ShownManifest } from './observations.js'
import { mayBeTooLong } from './withhold.js'
import { DELETED_WITH_MANIFEST } from './merge-rows.js'

/** Rows that one statement adds, as blobs times repositories. Above this number, a job adds the rows in steps. */
export const AT_ONCE = 5_000

/**
 * The blobs of `m`, a query of manifests in repositories, that these repositories lack. Each is a look-up by key, whatever the
 * statistics of PostgreSQL are. Layers that may not be distributed are left out, because a registry accepts manifests without
 * them. Rows that would not change are left out: a look-up saves a write, and most pulls are of images whose blobs are known.
 */
export const selectLacked = (m: string): string => `
    select incoming.* from (
      select m.repository_id, b.digest, max(b.size) as size, max(m.pushed_at) as manifest_at, true as implied,
        max(m.deleted_at) as deleted_at, max(m.moved_at) as moved_at
      from ${m} m
        cross join lateral (
          select digest, size from inventory.manifest_blobs
          where manifest_digest = m.digest and ${isImpliedEntry('media_type')} offset 0
        ) b
      group by m.repository_id, b.digest
    ) incoming
      left join lateral (
        select true as same from inventory.repository_blobs k
        where k.repository_id = incoming.repository_id and k.digest = incoming.digest and k.implied
          and k.manifest_at is not distinct from greatest(k.manifest_at, incoming.manifest_at)
          and k.size is not distinct from greatest(k.size, incoming.size)
          and k.moved_at is not distinct from greatest(k.moved_at, incoming.moved_at)
        offset 0
      ) known on true
    where known.same is null
    order by incoming.repository_id, incoming.digest`

export const upsertBlobs = (rows: string): string => `
    insert into inventory.repository_blobs as o (repository_id, digest, size, manifest_at, implied, deleted_at, moved_at)
    ${rows}
    on conflict (repository_id, digest) do update
      set size = greatest(o.size, excluded.size),
          manifest_at = greatest(o.manifest_at, excluded.manifest_at),
          implied = true,
          deleted_at = ${DELETED_WITH_MANIFEST},
          moved_at = greatest(o.moved_at, excluded.moved_at)
      where not o.implied
        or o.manifest_at is distinct from greatest(o.manifest_at, excluded.manifest_at)
        or o.size is distinct from greatest(o.size, excluded.size)
        or o.moved_at is distinct from greatest(o.moved_at, excluded.moved_at)`

const insertLacked = (m: string): string => upsertBlobs(selectLacked(m))

/** Manifests in repositories. A delete of a repository does not delete a manifest that a later rename brought there. */
export const MANIFEST_ROWS = `
      select o.repository_id, o.digest, o.pushed_at, o.moved_at,
        case when o.moved_at >= r.deleted_at then null else r.deleted_at end as deleted_at`

const PROPAGATE_EVERYWHERE_TEXT = `
    with wanted as materialized (
      select m.digest, m.stated_by, m.withheld_in, sum(b.entries * o.repositories) over (order by m.digest) <= ${AT_ONCE} as is_small,
        m.stated_by is null or not exists (
          select from inventory.repository_manifests other join inventory.repositories r on r.id = other.repository_id
          where other.digest = m.digest and other.seen_at is not null and not ${isListPropagatedIn('m', 'r.registry')}
        ) as is_known
      from inventory.manifests m
        cross join lateral (select count(*) as entries from inventory.manifest_blobs where manifest_digest = m.digest offset 0) b
        cross join lateral (select count(*) as repositories from inventory.repository_manifests where digest = m.digest offset 0) o
      where m.digest = any($1::text[])
    ), noted as (
      update inventory.manifests m
      set contents_known = is_known, tell_after = case when is_small then m.tell_after else 0 end
      from wanted
      where m.digest = wanted.digest and (m.contents_known <> is_known or not is_small)
    )
    ${insertLacked(`(
      ${MANIFEST_ROWS}
      from wanted
        cross join lateral (
          select repository_id, digest, pushed_at, moved_at from inventory.repository_manifests
          where digest = wanted.digest and seen_at is not null offset 0
        ) o
        cross join lateral (
          select registry, deleted_at from inventory.repositories where id = o.repository_id offset 0
        ) r
      where wanted.is_small and ${isListPropagatedIn('wanted', 'r.registry')}
    )`)}`

const PROPAGATE_EVERYWHERE: HotStatement = { name: 'propagate_everywhere', text: PROPAGATE_EVERYWHERE_TEXT }

const PROPAGATE_TO_SHOWN: HotStatement = {
  name: 'propagate_to_shown',
  text: `
    with manifest_rows as materialized (
      select p.*, m.is_known,
        sum(b.entries) over (order by p.digest, p.repository_id) <= ${AT_ONCE} and not ${mayBeTooLong('p.digest', 'b.entries')} as is_small
      from (
        ${MANIFEST_ROWS}, wanted.registry
        from unnest($1::text[], $2::text[], $3::text[]) as wanted (registry, name, digest)
          cross join lateral (
            select id, deleted_at from inventory.repositories
            where registry = wanted.registry and name = wanted.name offset 0
          ) r
          cross join lateral (
            select repository_id, digest, pushed_at, moved_at from inventory.repository_manifests
            where repository_id = r.id and digest = wanted.digest and seen_at is not null offset 0
          ) o
      ) p
        cross join lateral (
          select ${isListPropagatedIn('known', 'p.registry')} as is_known from inventory.manifests known where digest = p.digest offset 0
        ) m
        cross join lateral (select count(*) as entries from inventory.manifest_blobs where manifest_digest = p.digest offset 0) b
    ), noticed as (
      select digest, min(repository_id) filter (where is_known and not is_small) as large, bool_or(not is_known) as is_withheld
      from manifest_rows group by digest
    ), noted as (
      update inventory.manifests m
      set tell_after = least(m.tell_after, large - 1), contents_known = m.contents_known and not is_withheld,
        attempts = case when is_withheld then 0 else m.attempts end,
        next_attempt_at = case when is_withheld then now() else m.next_attempt_at end
      from noticed
      where m.digest = noticed.digest and (large is not null or (is_withheld and m.contents_known))
    )
    ${insertLacked('(select * from manifest_rows where is_known and is_small)')}`,
}

/**
 * Adds the blobs of manifests to all repositories that have one of the manifests: a registry takes no manifest whose blobs it
 * lacks, so the repository had them when the manifest was pushed. Must be called in a statement after the one that stored
 * pushes, and after the one that stored contents. Both lock the row of the manifest, so the second one sees what the first one
 * wrote, and no blob is missed. Moves and deletes of repositories lock the row, too. If there are too many rows for one
 * transaction, the manifest is noted for propagateNotedBlobs.
 */
export const propagateEverywhere = async ({ run }: { run: Run }, digests: readonly string[]): Promise<void> => {
  if (digests.length > 0) await run(PROPAGATE_EVERYWHERE, [digests])
}

type ManifestInRepository = Pick<ShownManifest, 'registry' | 'name' | 'digest'>

/**
 * Adds the blobs of each manifest to one repository, if no new contents of the manifest were stored. If the registry did not
 * state the contents, they are not known there, so they no longer count as known in every registry.
 */
export const propagateToShown = async (
  { run }: { run: Run },
  shown: readonly ManifestInRepository[],
): Promise<void> => {
  if (shown.length === 0) return
  await run(PROPAGATE_TO_SHOWN, [
    shown.map(({ registry }) => registry),
    shown.map(({ name }) => name),
    shown.map(({ digest }) => digest),
  ])
}

/**
 * Propagates blobs of manifests that existed before the batch: to all repositories if the contents are new, else to the
 * repositories that showed the manifest. Must run in the transaction that stored the events, after its statement, or in a later
 * one.
 * @param described manifests about which events stated something.
 */
export const propagateKnownBlobs = async (
  tx: { run: Run },
  { described, shown }: { described: readonly SeenManifest[]; shown: readonly ManifestInRepository[] },
): Promise<void> => {
  const digests = [...new Set([...described, ...shown].map(({ digest }) => digest))]
  if (digests.length === 0) return
  const [, learnt] = await Promise.all([lockManifests(tx, digests), settleContents(tx, described)])
  await Promise.all([propagateEverywhere(tx, learnt), propagateToShown(tx, shown)])
}
