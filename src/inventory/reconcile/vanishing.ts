import { sql } from 'kysely'
import type { Sql } from '../../storage/database.js'

/** A repair would delete most of a registry from the inventory. The message says what was found, and what to do. */
export class TooMuchGone extends Error {}

/** So few tags may vanish from any registry. */
const FEW = 20

/** Weighs the tags that a registry has lost against those it has kept, before anything is taken for deleted. */
export type Vanishing = {
  /** Tags that live in the inventory: those of one more repository. @throws TooMuchGone when most of them are gone */
  add: (tags: { gone: number; kept: number }) => void
  /** Whether so many were kept that no more than half can vanish any more. */
  isHarmless: () => boolean
}

/**
 * A registry with an empty storage, or another one at its address, answers well and has nothing: its inventory should not end
 * with it.
 * @param done repositories that this run has walked before
 */
export const createVanishing = async (
  db: Sql,
  { registry, done, force }: { registry: string; done: ReadonlySet<string>; force: boolean },
): Promise<Vanishing> => {
  const { rows } = await sql<{ repository: string; tags: number }>`
    select repository, count(*)::int as tags from inventory.live_tags where registry = ${registry} group by repository
  `.execute(db)
  const sum = (some: typeof rows): number => some.reduce((all, { tags }) => all + tags, 0)
  const live = sum(rows)
  let kept = sum(rows.filter(({ repository }) => done.has(repository)))
  let gone = 0
  return {
    add: (tags) => {
      kept += tags.kept
      gone += tags.gone
      if (force || gone <= FEW || gone * 2 <= live) return
      throw new TooMuchGone(
        `${registry} lacks ${gone} of the ${live} tags that live in the inventory, more than half of them, and none of these ` +
          'was deleted from it. Check that the address in the configuration is that of this registry, and that its storage is ' +
          'there; when the tags are to go, run reconcile --apply --force (over HTTP: force=true)',
      )
    },
    isHarmless: () => force || live <= FEW || kept * 2 >= live,
  }
}
