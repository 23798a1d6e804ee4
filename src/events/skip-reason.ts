/**
 * Why an event, or the person behind it, was not counted. The set is closed: it is the label in responses, in metrics and
 * in `tallyman status`, and each reason is explained in docs/operations.md.
 */
export const UNREADABLE_REASONS = [
  'not_an_object',
  'no_target',
  'wrong_type',
  'nul_character',
  'broken_utf8',
  'too_long',
  'bad_repository',
  'bad_tag',
  'bad_digest',
  'bad_timestamp',
  'timestamp_in_future',
  'unknown_action',
  'too_many_events',
  'not_storable',
] as const

export type UnreadableReason = (typeof UNREADABLE_REASONS)[number]
/** The event is readable and stored, but the user behind it could not be told. */
export type UncountedUserReason = 'unknown_user' | 'no_user_token' | 'bad_user_token'
/** The event is readable, but tells only of a request of our own. */
type UncountedEventReason = 'own_read'
/** The event counts, but the request that it tells of came when its time had been folded already: it is in no pull. */
type UnfoldedReason = 'late_request' | CheckBeforePush
/** The event counts, but its request, a HEAD, was part of a push by the same client: it is in no pull. */
type CheckBeforePush = 'check_before_push'
export type SkipReason = UnreadableReason | UncountedUserReason | UncountedEventReason | UnfoldedReason
