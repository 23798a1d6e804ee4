import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/database.js'
import { measuresOf } from '../fold/measures.js'
import type { Invocation } from '../fold/outcome.js'
import { growTotals } from './totals.js'
import { platformOf, type PlatformsOf } from './platform.js'
import type { ToldOutcome } from './fold-batch.js'

type Saved = {
  showsBlobs: (at: Micros) => boolean
  platforms: PlatformsOf
}

/** Keeps outcomes, each as it is known now: one that goes on is kept again when it has. */
export const saveOutcomes = async (
  tx: Sql,
  outcomes: readonly ToldOutcome[],
  { showsBlobs, platforms }: Saved,
): Promise<void> => {
  // The last word on each: what was open in one batch may be over in the same.
  const last = new Map(outcomes.map((told) => [told.outcome.id, told]))
  const rows = [...last.values()].sort((a, b) => (a.outcome.id < b.outcome.id ? -1 : 1))
  if (rows.length === 0) return
  await growTotals(
    tx,
    rows.map(({ outcome }) => outcome),
  )
  const shows = rows.map(({ outcome }) => showsBlobs(outcome.at))
  const measures = rows.map(({ outcome }, i) => measuresOf(outcome, shows[i] ?? false))
  const places = rows.map(({ outcome, who }) => platformOf(outcome, who, platforms))
  const invocation = <T>(read: (one: Invocation) => T, other: T): T[] =>
    rows.map(({ outcome }) => (outcome.what === 'invocation' ? read(outcome) : other))
  await sql`
    insert into pulls.outcomes (id, what, at, registry, repository, tag, digest, bytes,
      by_tag, gets, layers, starts_session, shows_blobs, platform, platform_from, platform_pulls,
      origin, endpoint, source, client, client_version, kind, os, arch, country, network, network_kind, signed_in)
    select * from unnest(
      ${rows.map(({ outcome }) => outcome.id)}::text[],
      ${rows.map(({ outcome }) => outcome.what)}::text[],
      ${rows.map(({ outcome }) => isoTime(outcome.at))}::timestamptz[],
      ${rows.map(({ outcome }) => outcome.registry)}::text[],
      ${rows.map(({ outcome }) => outcome.repository)}::text[],
      ${rows.map(({ outcome }) => outcome.tag ?? null)}::text[],
      ${rows.map(({ outcome }) => outcome.digest ?? null)}::text[],
      ${rows.map(({ outcome }) => outcome.bytes)}::bigint[],
      ${invocation(({ by }) => by === 'tag', false)}::boolean[],
      ${invocation(({ gets }) => gets, 0)}::int[],
      ${invocation(({ layers }) => layers, 0)}::int[],
      ${invocation(({ startsSession }) => startsSession, false)}::boolean[],
      ${shows}::boolean[],
      ${places.map(({ platform }) => platform)}::text[],
      ${places.map(({ from }) => from ?? null)}::text[],
      ${measures.map(({ platform_pulls }) => platform_pulls)}::int[],
      ${rows.map(({ who }) => who.origin)}::text[],
      ${rows.map(({ who }) => who.endpoint)}::text[],
      ${rows.map(({ who }) => who.source)}::text[],
      ${rows.map(({ who }) => who.client)}::text[],
      ${rows.map(({ who }) => who.version ?? null)}::text[],
      ${rows.map(({ who }) => who.kind)}::text[],
      ${rows.map(({ who }) => who.os ?? null)}::text[],
      ${rows.map(({ who }) => who.arch ?? null)}::text[],
      ${rows.map(({ who }) => who.country ?? null)}::text[],
      ${rows.map(({ who }) => who.network ?? null)}::text[],
      ${rows.map(({ who }) => who.networkKind ?? null)}::text[],
      ${rows.map(({ who }) => who.signedIn)}::boolean[]
    )
    on conflict (id) do update
      set digest = excluded.digest, bytes = excluded.bytes, gets = excluded.gets, layers = excluded.layers,
          shows_blobs = outcomes.shows_blobs or excluded.shows_blobs, platform = excluded.platform, platform_from = excluded.platform_from,
          platform_pulls = excluded.platform_pulls
  `.execute(tx)
}
