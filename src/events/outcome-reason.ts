/**
 * Why an item was not counted, or not in every respect. The list is closed: a reason is the label in answers to registries, in
 * `/metrics` and in `tallyman status`. The tables of docs/operations.md ("Skip reasons") are generated from this list.
 */

/** The effect of a reason on its item. */
export type Consequence =
  /** The item cannot be read or stored. It is set aside, and counts for nothing. Its repository may be in use. */
  | 'set_aside'
  /** The event is stored and its totals count, but not its user. */
  | 'user_not_counted'
  /** The id of the item is stored. The item counts for nothing. */
  | 'ignored'
  /** The event counts, but its request is in no pull. */
  | 'in_no_pull'

type Reason = {
  consequence: Consequence
  /** When an item gets this reason. */
  cause: string
  /** What an operator can do. */
  remedy: string
}

export const OUTCOME_REASONS = {
  not_an_object: {
    consequence: 'set_aside',
    cause: 'an item of `events` is not a JSON object',
    remedy: 'the sender is no registry, or a proxy changed the body',
  },
  no_target: {
    consequence: 'set_aside',
    cause: '`target` is missing or null',
    remedy: 'find the sender; registries always send a target',
  },
  wrong_type: {
    consequence: 'set_aside',
    cause: '`target` is not an object, or the time, action, repository, tag or digest is not a text',
    remedy: 'the detail names the field; correct the sender',
  },
  nul_character: {
    consequence: 'set_aside',
    cause: 'one of these texts contains a NUL',
    remedy: 'a client sent it; no action needed, unless there are many',
  },
  broken_utf8: {
    consequence: 'set_aside',
    cause: 'one of these texts is not UTF-8',
    remedy: 'the same',
  },
  too_long: {
    consequence: 'set_aside',
    cause: 'one of these texts is too long: repository 255, tag 128, digest 200, others 1,024 characters',
    remedy: 'the same',
  },
  bad_repository: {
    consequence: 'set_aside',
    cause: '`target.repository` is missing or no repository name of the OCI specification',
    remedy: 'correct the sender; names are lower case',
  },
  bad_tag: {
    consequence: 'set_aside',
    cause: '`target.tag` is not a tag',
    remedy: 'correct the sender',
  },
  bad_digest: {
    consequence: 'set_aside',
    cause: '`target.digest` is not a digest (`sha256:…`)',
    remedy: 'correct the sender',
  },
  bad_timestamp: {
    consequence: 'set_aside',
    cause: '`timestamp` is missing, not RFC 3339, or before 1970',
    remedy: 'correct the sender',
  },
  timestamp_in_future: {
    consequence: 'set_aside',
    cause: '`timestamp` is more than a day ahead of Tallyman’s clock',
    remedy: 'set the clocks of registry and Tallyman',
  },
  unknown_action: {
    consequence: 'set_aside',
    cause: '`action` is none of push, pull, mount, delete, rename',
    remedy:
      'a newer registry may report more than Tallyman counts; if there are many, exclude the action in its notifications (`ignore.actions`)',
  },
  too_many_events: {
    consequence: 'set_aside',
    cause:
      'unreadable items beyond 10,000, any items beyond 50,000 (more in a body of 16 MB); together they are one rejected event',
    remedy: 'no registry sends so many; find the sender',
  },
  not_storable: {
    consequence: 'set_aside',
    cause: 'the database refused this one event; the detail has the SQLSTATE',
    remedy: 'report it with the detail',
  },
  unknown_user: {
    consequence: 'user_not_counted',
    cause: 'the user directory does not know the name (of an event, or the `username` of an API call)',
    remedy: 'complete the users file; with `gitlab`: the account was removed, or belongs to another GitLab',
  },
  no_user_token: {
    consequence: 'user_not_counted',
    cause:
      '`user_token_key` is set, and the event (or API call) has only a name that could only be hashed: the name of a user with the directory `hash`, or of a deploy token',
    remedy:
      'normal for blobs; use the directory `gitlab` or `file` to count them; see [Who is counted](#who-is-counted)',
  },
  bad_user_token: {
    consequence: 'user_not_counted',
    cause: '`actor.user` is forged, signed with another key, was expired when the event happened, or has no fitting id',
    remedy: 'check that `user_token_key` is the key of GitLab’s registry settings, and the clocks of both',
  },
  own_read: {
    consequence: 'ignored',
    cause: 'the registry reports a read by Tallyman itself (its User-Agent has the key of this registry)',
    remedy: 'none; Tallyman does not count itself',
  },
  unrelated_event: {
    consequence: 'ignored',
    cause: 'the sender reports something other than a push, pull or delete of an image: a scan, a quota, a test',
    remedy: 'none; if there are many, turn them off in the sender',
  },
  late_request: {
    consequence: 'in_no_pull',
    cause:
      'the request arrived more than `pulls_lateness_seconds` after newer requests of its registry, so the fold had passed its time; or its registry was silent for longer than `pulls_detail_days` before',
    remedy: 'if there are many, one of several registries behind one name could not deliver; raise the setting',
  },
  check_before_push: {
    consequence: 'in_no_pull',
    cause:
      'a HEAD by a client that pushed the same tag within 15 minutes ([What is a use](definitions-of-numbers.md#what-is-a-use))',
    remedy: 'none; the HEAD is no use of the image',
  },
} as const satisfies Record<string, Reason>

export type OutcomeReason = keyof typeof OUTCOME_REASONS

type ReasonWith<C extends Consequence> = {
  [R in OutcomeReason]: (typeof OUTCOME_REASONS)[R]['consequence'] extends C ? R : never
}[OutcomeReason]

export type UnreadableReason = ReasonWith<'set_aside'>
export type UncountedUserReason = ReasonWith<'user_not_counted'>
export type IgnoredReason = ReasonWith<'ignored'>

/** The reasons with one consequence, in the order of the list. */
export const reasonsWith = <C extends Consequence>(consequence: C): ReasonWith<C>[] =>
  (Object.keys(OUTCOME_REASONS) as OutcomeReason[]).filter(
    (reason): reason is ReasonWith<C> => OUTCOME_REASONS[reason].consequence === consequence,
  )
