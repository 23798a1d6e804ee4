import { isFields, type Fields } from '../../events/json.js'
import { parseTimestamp } from '../../events/calendar.js'
import { isDigest, isRepositoryPath, isTag, isUuid } from '../../events/reference.js'
import { ACTIONS } from '../../events/registry-event.js'

/** Characters: a time has as many digits behind its second as somebody likes. */
const LONGEST_TIME = 40
/** Characters of a field's shape. */
const LONGEST_SHAPE = 100

/**
 * Enough to find the culprit: the fields that are what they should be, and of any other field its shape or its type. A field that
 * is wrong may contain anything, an address or a secret included, so that its text is not stored.
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

/** The type in the place of a value; null and what is missing stand as they are. */
const typeOf = (value: unknown): unknown => (value === undefined || value === null ? value : typeof value)

/**
 * What a text looks like: `a` for each letter, `9` for each digit, `·` for all else but ASCII's punctuation. A time that is written
 * in another form is recognised by it, and no person is.
 */
const shapeOf = (text: string): string => {
  const shape = text
    .slice(0, LONGEST_SHAPE)
    .replace(/\p{L}/gu, 'a')
    .replace(/\p{N}/gu, '9')
    .replace(/[^\x20-\x7e]/gu, '·')
  return text.length > LONGEST_SHAPE ? `${shape}… (${text.length} characters)` : shape
}

/** A hostile item can be nested deeper than the stack; its harmless fields must do for it. */
export const jsonOf = (item: unknown): string => {
  try {
    return JSON.stringify(item)
  } catch {
    return excerptOf(item)
  }
}
