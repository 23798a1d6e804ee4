/** Visible ASCII, and spaces within: what HTTP carries unchanged, whatever the client. */
const SENDABLE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
/** Fewer characters are guessed in little time, also with one request at a time. */
const VERY_SHORT = 8
/** Fewer characters can be guessed. */
const SHORT = 16

/** Whether a request can carry a token. */
export const isSendable = (token: string): boolean => SENDABLE.test(token)

/** The tokens of a setting: a list, or a text with commas between them. Undefined if one of them is no text or number. */
export const tokensIn = (value: unknown): string[] | undefined => {
  const list: unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value]
  const tokens = list.map((token) => (typeof token === 'number' ? String(token) : token))
  if (!tokens.every((token) => typeof token === 'string')) return undefined
  return tokens.map((token) => token.trim()).filter((token) => token !== '')
}

/** A token, and what to call it in a warning: a name that does not contain the token. */
export type NamedToken = { name: string; token: string }

/**
 * What may be wrong with tokens, one sentence each. None of these tokens ends the start: earlier versions accepted them, and an
 * installation that has one must start.
 */
export const weaknessesOf = (tokens: readonly NamedToken[]): string[] =>
  tokens.flatMap(({ name, token }) => weaknessesIn(token).map((sentence) => `${name} ${sentence}`))

const weaknessesIn = (token: string): string[] => {
  const found: [boolean, string][] = [
    [
      !isSendable(token),
      'has a character outside printable ASCII, which no Authorization header carries unchanged: choose another token',
    ],
    [
      token.length < VERY_SHORT,
      `has fewer than ${VERY_SHORT} characters and is guessed in little time: replace it now`,
    ],
    [token.length >= VERY_SHORT && token.length < SHORT, `has fewer than ${SHORT} characters and can be guessed`],
    [isQuoted(token), 'begins and ends with a quote, which is a part of the token'],
    [
      /^bearer /i.test(token),
      'begins with "Bearer ", which is not a part of a token: write only the text after "Bearer "',
    ],
  ]
  return found.flatMap(([isWeak, sentence]) => (isWeak ? [sentence] : []))
}

const isQuoted = (token: string): boolean => token.length > 1 && /^["'`]/.test(token) && token.at(-1) === token[0]
