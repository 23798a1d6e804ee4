/** Visible ASCII, and spaces within: what HTTP carries unchanged, whatever the client. */
const SENDABLE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/
/** Fewer characters can be guessed. */
const SHORT = 16

/** Why no request can carry a token; undefined if one can. The sentence does not quote the token. */
export const whyTokenIsUnusable = (token: string): string | undefined =>
  SENDABLE.test(token)
    ? undefined
    : 'has a character outside printable ASCII, which no Authorization header carries unchanged; choose another'

/** The tokens of a setting: a list, or a text with commas between them. Undefined if one of them is no text or number. */
export const tokensIn = (value: unknown): string[] | undefined => {
  const list: unknown[] = Array.isArray(value) ? value : typeof value === 'string' ? value.split(',') : [value]
  const tokens = list.map((token) => (typeof token === 'number' ? String(token) : token))
  if (!tokens.every((token) => typeof token === 'string')) return undefined
  return tokens.map((token) => token.trim()).filter((token) => token !== '')
}

const isQuoted = (token: string): boolean => token.length > 1 && /^["'`]/.test(token) && token.at(-1) === token[0]

const WEAKNESSES: readonly [(token: string) => boolean, string][] = [
  [(token) => token.length < SHORT, `has fewer than ${SHORT} characters and can be guessed`],
  [isQuoted, 'begins and ends with a quote, which is a part of the token'],
  [
    (token) => /^bearer /i.test(token),
    'begins with "Bearer ", which is not a part of a token: write only the text after "Bearer "',
  ],
]

/** A token of a setting, and its name in a map: a registry or a scope. */
type SettingToken = { token: string; name?: string | undefined }

/**
 * How tokens are identified without their text, as "the token", "token 2" or "token 2 of registry.example.com": by the name in a
 * map, and by the position if several tokens have that name, or none has one.
 */
export const tokenLabels = (tokens: readonly SettingToken[]): string[] => {
  const counts = new Map<string | undefined, number>()
  const positions = tokens.map(({ name }) => {
    const position = (counts.get(name) ?? 0) + 1
    counts.set(name, position)
    return position
  })
  return tokens.map(({ name }, i) => {
    const which = counts.get(name) === 1 ? 'the token' : `token ${positions[i] ?? 0}`
    return name === undefined ? which : `${which} of ${name}`
  })
}

/** What may be wrong with tokens that work: sentences that begin with the setting and name the token, which they do not quote. */
export const weaknessesOf = (setting: string, tokens: readonly SettingToken[]): string[] => {
  const labels = tokenLabels(tokens)
  return tokens.flatMap(({ token }, i) =>
    WEAKNESSES.filter(([is]) => is(token)).map(([, sentence]) => `${setting}: ${labels[i] ?? 'a token'} ${sentence}`),
  )
}
