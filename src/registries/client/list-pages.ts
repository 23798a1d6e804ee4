import type { Fields } from '../../events/json.js'
import { hasMoreStructuralTokens } from '../../runtime/structural-tokens.js'
import { fieldsIn, MOST_TOKENS } from './bounded-json.js'
import { RegistryError, type RegistryResponse } from './exchange.js'
import type { ListPage } from './registry-client.js'

/** The requested number of names on a page. */
const PAGE = 1_000
/**
 * The size limit of one page in bytes. Registries may send more names than requested: distribution 2.8 and others send all tags of a
 * repository at once, which may be hundreds of thousands if a build system pushes them.
 */
export const LARGEST_PAGE = 32 * 1024 * 1024
const LONGEST_NEXT = 1_024
/** Only so many characters of a Link header are read: the path of a list, and the start of the next page. */
const LONGEST_LINK = 4_096

/** A list of a registry exceeds a limit, or does not end. The message contains the limit, and what to do. */
export class ListTooLarge extends RegistryError {
  /** @param what the list contains, for example "tags of team/app" @param reason the limit */
  constructor(what: string, reason: string) {
    super(
      `the registry answers a list of ${what} with ${reason}, so the rest is not read: delete unneeded items in the registry, ` +
        'or check whether a proxy in front of the registry repeats its pages',
    )
  }
}

/** The path of a page of a list (distribution-spec 1.1, "Listing Tags"); `next` comes from the previous page. */
export const pathOfPage = (path: string, next: string | undefined): string =>
  `${path}?n=${PAGE}${next === undefined ? '' : `&last=${encodeURIComponent(next)}`}`

type ExpectedPage = {
  host: string
  /** The key of the names in the answer. */
  list: 'tags' | 'repositories'
  isName: (text: string) => boolean
  /** The name after which this page was requested. */
  after: string | undefined
}

/**
 * The names of a page, and the name after which the next page begins: the one in the Link header, else the last name of this page.
 * The address in that header is not requested. Invalid names of repositories or tags are left out.
 * @throws ListTooLarge for a page with too many values, or a page that repeats the previous one; RegistryError if the answer is not a
 *   page
 */
export const pageIn = ({ body, headers }: RegistryResponse, { host, list, isName, after }: ExpectedPage): ListPage => {
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
  if (next === undefined || next === after) throw new ListTooLarge(list, 'the same page again')
  return { names, next }
}

const namesIn = (fields: Fields | undefined, list: ExpectedPage['list']): unknown[] | undefined => {
  // The list of a repository without tags may be null.
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
