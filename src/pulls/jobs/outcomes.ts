import { sql } from 'kysely'
import { isoTime, type Micros } from '../../events/calendar.js'
import type { Sql } from '../../storage/database.js'
import { measuresOf } from '../fold/measures.js'
import type { Invocation, Outcome } from '../fold/outcome.js'
import type { Who } from '../record/pending.js'
import { growTotals } from './totals.js'
import { platformOf, type PlatformsOf } from './platform.js'
import type { ToldOutcome } from './fold-batch.js'

type Saved = {
  showsBlobs: (at: Micros) => boolean
  platforms: PlatformsOf
}

/**
 * Keeps outcomes, each as it is known now: one that goes on is kept again when it has.
 * @param outcomes each once.
 */
export const saveOutcomes = async (
  tx: Sql,
  outcomes: readonly ToldOutcome[],
  { showsBlobs, platforms }: Saved,
): Promise<void> => {
  const whoOf = readOnce(outcomes)
  const rows = outcomes
    .map(({ outcome, who }) => ({ outcome, who: whoOf(who) }))
    .sort((a, b) => (isBefore(a.outcome, b.outcome) ? -1 : 1))
  if (rows.length === 0) return
  await growTotals(tx, outcomes)
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
      ${rows.map(({ outcome }) => outcome.origin)}::text[],
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
    on conflict (registry, repository, at, id) do update
      set digest = excluded.digest, bytes = excluded.bytes, gets = excluded.gets, layers = excluded.layers,
          shows_blobs = outcomes.shows_blobs or excluded.shows_blobs, platform = excluded.platform, platform_from = excluded.platform_from,
          platform_pulls = excluded.platform_pulls
  `.execute(tx)
}

/** In the order of the key, in which all processes lock them. */
const isBefore = (a: Outcome, b: Outcome): boolean =>
  a.repository < b.repository || (a.repository === b.repository && (a.at < b.at || (a.at === b.at && a.id < b.id)))

/** Each text of a `Who` is read once. */
const readOnce = (outcomes: readonly ToldOutcome[]): ((text: string) => Who) => {
  const read = new Map([...new Set(outcomes.map(({ who }) => who))].map((text) => [text, JSON.parse(text) as Who]))
  return (text) => read.get(text) ?? (JSON.parse(text) as Who)
}
