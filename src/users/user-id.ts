/**
 * Reads the id of a user or of a deploy token in GitLab's form: a whole number, or a short text of letters, digits, `_` and `-`.
 * @returns undefined for any other value, which may be no id, be too long, or contain characters that cannot be stored
 */
export const userIdIn = (value: unknown): string | undefined =>
  (typeof value === 'number' && Number.isSafeInteger(value)) || (typeof value === 'string' && USER_ID.test(value))
    ? String(value)
    : undefined

const USER_ID = /^[\w-]{1,64}$/
