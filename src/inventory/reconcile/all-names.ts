import { ListTooLarge } from '../../registries/client/list-pages.js'
import type { ListPage } from '../../registries/client/registry-client.js'

/** Names of one list. All of them are in memory at once, and each tag is one request at least. */
const MOST_NAMES = 500_000
/** Characters of all names of one list: a name of 128 characters on average is longer than any registry has. */
const MOST_CHARACTERS = 64 * 1024 * 1024
/** Pages of one list: those of `MOST_NAMES` names from a registry that answers with 50 names at a time. */
const MOST_PAGES = 10_000
/** Pages in a row without a new name: names that cannot be are left out, and tags may come while others are listed. */
const MOST_IDLE_PAGES = 10
/** From the first page to the last, pauses that the registry asks for included. */
const LONGEST_MS = 2 * 60 * 60_000

type ListClock = {
  /** In milliseconds, from any beginning. */
  now: () => number
}

/**
 * Every name of a paged list, each once and in the registry's order.
 * @param what the list contains, as "tags of team/app"
 * @throws ListTooLarge if the list has more names, characters or pages than are read, takes longer, or repeats the same names
 */
export const allNames = async (
  what: string,
  page: (next?: string) => Promise<ListPage>,
  { now }: ListClock = { now: () => performance.now() },
): Promise<string[]> => {
  const names = new Set<string>()
  const end = now() + LONGEST_MS
  let next: string | undefined
  let [pages, idle, characters] = [0, 0, 0]
  do {
    const answer: ListPage = await page(next)
    const before = names.size
    for (const name of answer.names) {
      if (!names.has(name)) characters += name.length
      names.add(name)
    }
    next = answer.next
    pages++
    idle = names.size > before ? 0 : idle + 1
    if (idle > MOST_IDLE_PAGES) throw new ListTooLarge(what, `${idle} pages in a row without a new name`)
    if (names.size > MOST_NAMES) throw new ListTooLarge(what, `more than ${count(MOST_NAMES)} names`)
    if (characters > MOST_CHARACTERS) {
      throw new ListTooLarge(what, `names of more than ${count(MOST_CHARACTERS)} characters in all`)
    }
    if (next !== undefined && pages >= MOST_PAGES) throw new ListTooLarge(what, `more than ${count(MOST_PAGES)} pages`)
    if (next !== undefined && now() > end) throw new ListTooLarge(what, 'more than 2 hours of pages')
  } while (next !== undefined)
  return [...names]
}

const count = (number: number): string => number.toLocaleString('en-US')
