/** Visible ASCII, and spaces between: every HTTP client sends these characters unchanged. */
const SENDABLE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
/** A token with fewer characters can be guessed quickly, even with one request at a time. */
const VERY_SHORT = 8
/** A token with fewer characters can be guessed. */
const SHORT = 16

/** Whether a request can carry a token. */
export const isSendable = (token: string): boolean => SENDABLE.test(token)

/** The tokens of a setting: a list, or a text with tokens separated by commas. Undefined if a token is neither text nor a number. */
export const tokensIn = (value: unknown): string[] | undefined => {
  const list: unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value]
  const tokens = list.map((token) => (typeof token === 'number' ? String(token) : token))
  if (!tokens.every((token) => typeof token === 'string')) return undefined
  return tokens.map((token) => token.trim()).filter((token) => token !== '')
}

/** A token, and its name in warnings, which does not contain the token. */
export type NamedToken = { name: string; token: string }

/**
 * Warnings about weak tokens, one sentence each. A weak token does not prevent the start, because earlier versions accepted it, and
 * an existing installation must still start.
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
