import { isFields } from '../../events/excerpt.js'
import { RegistryError, type Answer } from './exchange.js'
import type { ListPage } from './registry-client.js'

/** Names asked for at once. */
const PAGE = 1_000
/**
 * Bytes of one page. Registries may send more names than they were asked for: distribution 2.8 and others send all tags of a
 * repository at once, and one that a build system fills has hundreds of thousands.
 */
export const LARGEST_PAGE = 32 * 1024 * 1024
const LONGEST_NEXT = 1_024

/** The path of a page of a list (distribution-spec 1.1, "Listing Tags"); `next` is what the page before it said. */
export const pathOfPage = (path: string, next: string | undefined): string =>
  `${path}?n=${PAGE}${next === undefined ? '' : `&last=${encodeURIComponent(next)}`}`

type Expected = {
  host: string
  /** The key under which the names stand. */
  list: 'tags' | 'repositories'
  isName: (text: string) => boolean
  /** What this page was asked with. */
  asked: string | undefined
}

/**
 * The names of a page, and what the next begins behind: what the Link header says, else the last name of this one. The
 * address in that header is not asked. Names
 * that no repository or tag can have are left out.
 * @throws RegistryError when it is no page, or the one that was had before: nobody would ever reach the end.
 */
export const pageIn = ({ body, headers }: Answer, { host, list, isName, asked }: Expected): ListPage => {
  const all = namesIn(body, list)
  if (!all) throw new RegistryError(`${host} answered with no list of ${list}`)
  const names = all.filter((name): name is string => typeof name === 'string' && isName(name))
  const link = nextLinkIn(headers.get('link') ?? '')
  if (link === undefined) return { names }
  const next = lastIn(link) ?? names.at(-1)
  if (next === undefined || next === asked)
    throw new RegistryError(`${host} answered with the same page of its ${list} again`)
  return { names, next }
}

const namesIn = (body: Buffer, list: Expected['list']): unknown[] | undefined => {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'))
    // A repository without tags has null.
    const names = isFields(value) ? (value[list] ?? []) : undefined
    return Array.isArray(names) ? names : undefined
  } catch {
    return undefined
  }
}

/** The target of the link to the next page: `</v2/team/app/tags/list?last=1.9&n=1000>; rel="next"` (RFC 8288). */
const nextLinkIn = (header: string): string | undefined => /<([^>]*)>\s*;[^<]*\brel\s*=\s*"?next\b/.exec(header)?.[1]

const lastIn = (link: string): string | undefined => {
  const last = new URLSearchParams(link.slice(link.indexOf('?') + 1)).get('last')
  return last !== null && last !== '' && last.length <= LONGEST_NEXT ? last : undefined
}
