import { ListTooLarge } from '../../registries/client/list-pages.js'
import type { ListPage } from '../../registries/client/registry-client.js'

/** The most names of one list. All of them are in memory at once, and each tag is at least one request. */
const MOST_NAMES = 500_000
/** The most characters of all names of one list: names of real registries have fewer than 128 characters on average. */
const MOST_CHARACTERS = 64 * 1024 * 1024
/** The most pages of one list: `MOST_NAMES` names from a registry that returns 50 names at a time. */
const MOST_PAGES = 10_000
/** The most pages in a row without a new name: impossible names are left out, and tags may be added while others are listed. */
const MOST_IDLE_PAGES = 10
/** From the first page to the last, including pauses that the registry asks for. */
const LONGEST_MS = 2 * 60 * 60_000

type ListClock = {
  /** Milliseconds since any moment. */
  now: () => number
}

/**
 * Reads every name of a paged list, each once and in the order of the registry.
 * @param what the list contains, for example "tags of team/app"
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
