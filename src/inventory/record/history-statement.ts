import type { FilledPart, StatementPart } from '../../storage/sql/statement-parts.js'
import type { Observations } from './observations.js'
import { time } from './times.js'

export const CHANGES: StatementPart = {
  name: 'changes',
  provides: ['stored_changes'],
  requires: ['batch_repositories'],
  text: (p) => `
    stored_changes as (
      insert into inventory.changes (event_id, repository_id, at, action, digest, tag, actor_id)
      select event_id, id, at, action, digest, tag, actor_id
      from unnest(${p(1)}::uuid[], ${p(2)}::int[], ${p(3)}::timestamptz[], ${p(4)}::text[], ${p(5)}::text[], ${p(6)}::text[],
        ${p(7)}::bigint[]) as incoming (event_id, number, at, action, digest, tag, actor_id)
      join batch_repositories using (number)
      order by event_id
      on conflict do nothing
    )`,
}

export const fillChanges = ({ changes: rows }: Observations): FilledPart => ({
  part: CHANGES,
  values: [
    rows.map(({ event }) => event),
    rows.map(({ repository }) => repository),
    rows.map(({ at }) => time(at)),
    rows.map(({ action }) => action),
    rows.map(({ digest }) => digest ?? null),
    rows.map(({ tag }) => tag ?? null),
    rows.map(({ actor }) => actor?.id ?? null),
  ],
})

export const LOOKUPS: StatementPart = {
  name: 'lookups',
  provides: ['stored_lookups'],
  requires: ['batch_repositories'],
  text: (p) => `
    stored_lookups as (
      insert into inventory.tag_lookups (event_id, repository_id, method, digest, tag, origin, at, received_at, joined, settled)
      select event_id, id, method, digest, tag, origin, at, ${p(8)}::timestamptz,
        method = 'HEAD' and tag is null, method <> 'HEAD'
      from unnest(${p(1)}::uuid[], ${p(2)}::int[], ${p(3)}::text[], ${p(4)}::text[], ${p(5)}::text[], ${p(6)}::text[],
        ${p(7)}::timestamptz[]) as incoming (event_id, number, method, digest, tag, origin, at)
      join batch_repositories using (number)
      order by event_id
      on conflict do nothing
    )`,
}

export const fillLookups = ({ lookups: rows, received }: Observations): FilledPart => ({
  part: LOOKUPS,
  values: [
    rows.map(({ event }) => event),
    rows.map(({ repository }) => repository),
    rows.map(({ method }) => method),
    rows.map(({ digest }) => digest),
    rows.map(({ tag }) => tag ?? null),
    rows.map(({ origin }) => origin),
    rows.map(({ at }) => time(at)),
    time(received),
  ],
})

/** A repeated event adds a duplicate row: a unique key would cost more for each push than the row does. */
export const PUSHES: StatementPart = {
  name: 'pushes',
  provides: ['recent_pushes'],
  requires: ['batch_repositories'],
  text: (p) => `
    recent_pushes as (
      insert into inventory.recent_pushes (repository_id, reference, origin, at, received_at)
      select id, reference, origin, at, ${p(5)}::timestamptz
      from unnest(${p(1)}::int[], ${p(2)}::text[], ${p(3)}::text[], ${p(4)}::timestamptz[])
        as pushed (number, reference, origin, at)
      join batch_repositories using (number)
    )`,
}

export const fillPushes = ({ pushes: rows, received }: Observations): FilledPart => ({
  part: PUSHES,
  values: [
    rows.map(({ repository }) => repository),
    rows.map(({ reference }) => reference),
    rows.map(({ origin }) => origin),
    rows.map(({ at }) => time(at)),
    time(received),
  ],
})
