/** An authentication method that a server offers: the scheme in lower case, and the parameters by their names in lower case. */
export type Challenge = { scheme: string; parameters: Readonly<Record<string, string>> }

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const SCHEME = new RegExp(`(?:^|[ \\t]*,)[\\s,]*(${TOKEN})`, 'y')
/** The form that Negotiate uses: one value instead of parameters. */
const TOKEN_68 = /[ \t]+[A-Za-z0-9._~+/-]+=*[ \t]*(?=,|$)/y
/** A value without quotes may have more characters than the RFC allows, because registries send whole addresses this way. */
const PARAMETER = new RegExp(`[\\s,]*(${TOKEN})[ \\t]*=[ \\t]*(?:"((?:[^"\\\\]|\\\\.)*)"|([^\\s,"]+))`, 'y')

/**
 * The challenges of a WWW-Authenticate header (RFC 9110, 11.6.1). One header, or several headers joined with commas, may contain
 * several challenges. The rest of a header after an unreadable part is ignored.
 */
export const challengesIn = (header: string): Challenge[] => {
  const challenges: Challenge[] = []
  let at = 0
  const next = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const found = pattern.exec(header)
    if (found) at = pattern.lastIndex
    return found
  }
  for (let scheme = next(SCHEME); scheme; scheme = next(SCHEME)) {
    const parameters = new Map<string, string>()
    if (!next(TOKEN_68)) {
      for (let found = next(PARAMETER); found; found = next(PARAMETER)) {
        const [, name = '', quoted, bare = ''] = found
        parameters.set(name.toLowerCase(), quoted?.replace(/\\(.)/g, '$1') ?? bare)
      }
    }
    challenges.push({ scheme: scheme[1]?.toLowerCase() ?? '', parameters: Object.fromEntries(parameters) })
  }
  return challenges
}
