/** Visible ASCII, and spaces within: what HTTP carries unchanged, whatever the client. */
const SENDABLE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
/** Fewer characters can be guessed. */
const SHORT = 16

/** Why no request can carry a token; undefined if one can. The sentence does not quote the token. */
export const whyTokenIsUnusable = (token: string): string | undefined =>
  SENDABLE.test(token)
    ? undefined
    : 'has a token with a character outside printable ASCII, which no Authorization header carries unchanged; choose another'

/** The tokens of a setting: a list, or a text with commas between them. Undefined if one of them is no text or number. */
export const tokensIn = (value: unknown): string[] | undefined => {
  const list: unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value]
  const tokens = list.map((token) => (typeof token === 'number' ? String(token) : token))
  if (!tokens.every((token) => typeof token === 'string')) return undefined
  return tokens.map((token) => token.trim()).filter((token) => token !== '')
}

/** What may be wrong with tokens that work: sentences that begin with the name of the setting and quote no token. */
export const weaknessesOf = (setting: string, tokens: readonly string[]): string[] => {
  const found: [(token: string) => boolean, string][] = [
    [(token) => token.length < SHORT, `a token has fewer than ${SHORT} characters and can be guessed`],
    [isQuoted, 'a token begins and ends with a quote, which is a part of it'],
    [
      (token) => /^bearer /i.test(token),
      'a token begins with "Bearer ", which is no part of a token: write what follows it',
    ],
  ]
  return found.flatMap(([is, sentence]) => (tokens.some(is) ? [`${setting}: ${sentence}`] : []))
}

const isQuoted = (token: string): boolean => token.length > 1 && /^["'`]/.test(token) && token.at(-1) === token[0]
