import { RegistryError } from '../registry/exchange.js'
import type { ListPage } from '../registry/registry-client.js'

/** Names of one list. All of them are in memory at once, and each tag is one request at least. */
const MOST_NAMES = 500_000
/** Pages of one list: those of `MOST_NAMES` names from a registry that answers with 50 names at a time. */
const MOST_PAGES = 10_000
/** Pages in a row without a new name: names that cannot be are left out, and tags may come while others are listed. */
const MOST_IDLE_PAGES = 10

/**
 * Every name of a paged list, each once and in the registry's order.
 * @param what the list contains, as "tags of team/app"
 * @throws RegistryError if the list has more names or pages than are read, or repeats the same names
 */
export const allNames = async (what: string, page: (next?: string) => Promise<ListPage>): Promise<string[]> => {
  const names = new Set<string>()
  let next: string | undefined
  let pages = 0
  let idle = 0
  do {
    const answer: ListPage = await page(next)
    const before = names.size
    for (const name of answer.names) names.add(name)
    idle = names.size > before ? 0 : idle + 1
    if (idle > MOST_IDLE_PAGES)
      throw new RegistryError('the registry answers with the same names of a list again and again')
    if (names.size > MOST_NAMES) throw tooMany(what, `${MOST_NAMES.toLocaleString('en-US')} names`)
    next = answer.next
    if (++pages >= MOST_PAGES && next !== undefined) throw tooMany(what, `${MOST_PAGES.toLocaleString('en-US')} pages`)
  } while (next !== undefined)
  return [...names]
}

const tooMany = (what: string, most: string): RegistryError =>
  new RegistryError(
    `the registry lists more ${what} than are read (${most}): delete there what is not needed, or look whether a proxy before ` +
      'the registry repeats its pages',
  )
