import type { Fields } from '../../events/json.js'
import { hasMoreStructuralTokens } from '../../runtime/structural-tokens.js'
import { fieldsIn, MOST_TOKENS } from './bounded-json.js'
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
/** Characters of a Link header that are read: the path of a list, and where the next page begins. */
const LONGEST_LINK = 4_096

/** A registry lists more than is read, or does not end. The message says which bound it met, and what to do. */
export class ListTooLarge extends RegistryError {
  /** @param what the list contains, as "tags of team/app" @param met the bound */
  constructor(what: string, met: string) {
    super(
      `the registry answers a list of ${what} with ${met}, and no more is read: delete there what is not needed, or look ` +
        'whether a proxy before the registry repeats its pages',
    )
  }
}

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
 * The names of a page, and the name behind which the next page begins: the one in the Link header, else the last of this page. The
 * address in that header is not requested. Names that no repository or tag can have are left out.
 * @throws ListTooLarge for a page with more values than are read, or one that repeats the page before; RegistryError for what is
 *   no page
 */
export const pageIn = ({ body, headers }: Answer, { host, list, isName, asked }: Expected): ListPage => {
  const fields = fieldsIn(body)
  if (!fields && hasMoreStructuralTokens(body, MOST_TOKENS)) {
    throw new ListTooLarge(list, `more than ${MOST_TOKENS.toLocaleString('en-US')} values on one page`)
  }
  const all = namesIn(fields, list)
  if (!all) throw new RegistryError(`${host} answered with no list of ${list}`)
  const names = all.filter((name): name is string => typeof name === 'string' && isName(name))
  const link = nextLinkIn(headers.get('link') ?? '')
  if (link === undefined) return { names }
  const next = lastIn(link) ?? names.at(-1)
  if (next === undefined || next === asked) throw new ListTooLarge(list, 'the same page again')
  return { names, next }
}

const namesIn = (fields: Fields | undefined, list: Expected['list']): unknown[] | undefined => {
  // A repository without tags has null.
  const found = fields && (fields[list] ?? [])
  return Array.isArray(found) ? found : undefined
}

/** The target of the link to the next page: `</v2/team/app/tags/list?last=1.9&n=1000>; rel="next"` (RFC 8288). */
const nextLinkIn = (header: string): string | undefined =>
  /<([^<>]*)>\s*;[^<]*\brel\s*=\s*"?next\b/.exec(header.slice(0, LONGEST_LINK))?.[1]

const lastIn = (link: string): string | undefined => {
  const last = new URLSearchParams(link.slice(link.indexOf('?') + 1)).get('last')
  return last !== null && last !== '' && last.length <= LONGEST_NEXT ? last : undefined
}
