/**
 * The id of a user or of a deploy token, as GitLab writes it: a whole number, or a short text of letters, digits, `_` and `-`.
 * @returns undefined for anything else: other values could be no id, be too long to store, or not be storable at all
 */
export const userIdIn = (value: unknown): string | undefined =>
  (typeof value === 'number' && Number.isSafeInteger(value)) || (typeof value === 'string' && USER_ID.test(value))
    ? String(value)
    : undefined

const USER_ID = /^[\w-]{1,64}$/
