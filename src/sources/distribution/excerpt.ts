import { isFields, type Fields } from '../../events/json.js'
import { parseTimestamp } from '../../events/calendar.js'
import { isDigest, isRepositoryPath, isTag, isUuid } from '../../events/reference.js'
import { ACTIONS } from '../../events/registry-event.js'

/** Characters. A timestamp may have any number of digits after its second. */
const LONGEST_TIME = 40
/** The largest number of characters of a field's shape. */
const LONGEST_SHAPE = 100

/**
 * The data that is needed to find the cause: the value of each valid field, and only the shape or the type of any other field. An
 * invalid field may contain anything, including an address or a secret, so its text is not stored.
 */
export const excerptOf = (item: unknown): string => {
  if (!isFields(item)) return JSON.stringify(typeof item)
  const { id, timestamp, action, target } = item
  return JSON.stringify({
    id: textOr(id, isUuid),
    timestamp: textOr(timestamp, (text) => text.length <= LONGEST_TIME && parseTimestamp(text) !== undefined),
    action: textOr(action, (text) => (ACTIONS as readonly string[]).includes(text)),
    target: isFields(target) ? targetOf(target) : typeOf(target),
  })
}

const targetOf = ({ mediaType, digest, repository, tag, size }: Fields): Fields => ({
  mediaType: textOr(mediaType, (text) => MEDIA_TYPE.test(text)),
  digest: textOr(digest, isDigest),
  repository: textOr(repository, isRepositoryPath),
  tag: textOr(tag, isTag),
  size: typeof size === 'number' ? size : typeOf(size),
})

/** As registries send them. */
const MEDIA_TYPE = /^application\/[a-z0-9][a-z0-9.+-]{0,120}$/

const textOr = (value: unknown, isRight: (text: string) => boolean): unknown => {
  if (typeof value !== 'string') return typeOf(value)
  return isRight(value) ? value : shapeOf(value)
}

/** The type of a value in place of the value; null and undefined stay unchanged. */
const typeOf = (value: unknown): unknown => (value === undefined || value === null ? value : typeof value)

/**
 * The shape of a text: `a` for each letter, `9` for each digit, `?` for each other character outside ASCII's punctuation. It
 * shows a timestamp in an unusual format, but identifies no person. Only ASCII, because a database may lack other characters.
 */
const shapeOf = (text: string): string => {
  const shape = text
    .slice(0, LONGEST_SHAPE)
    .replace(/\p{L}/gu, 'a')
    .replace(/\p{N}/gu, '9')
    .replace(/[^\x20-\x7e]/gu, '?')
  return text.length > LONGEST_SHAPE ? `${shape}... (${text.length} characters)` : shape
}

/** An item as JSON. A hostile item may be nested too deeply for the stack; then its excerpt is used instead. */
export const jsonOf = (item: unknown): string => {
  try {
    return JSON.stringify(item)
  } catch {
    return excerptOf(item)
  }
}
