import { isTooLongName, shortText } from '../../events/side-fields.js'
import { firstAddressOf } from '../client-address.js'
import { beginningOfAgent } from '../user-agent.js'

/** Whether a log has a value: `-` stands for none. */
export const isGiven = (value: unknown): boolean =>
  value !== undefined && value !== null && value !== '' && value !== '-'

/** The text of a field; undefined if the log has `-` or nothing in its place. */
export const presentText = (text: string | undefined): string | undefined => (isGiven(text) ? text : undefined)

/** A text that can be stored; undefined if the log has none in its place, or another value. */
export const textIn = (value: unknown): string | undefined => (isGiven(value) ? shortText(value) : undefined)

/** A text that distinguishes people or requests. U+FFFD replaces bytes that were lost, and two names may differ only in these. */
export const nameIn = (value: unknown): string | undefined => {
  const text = textIn(value)
  return text === undefined || text.includes('\ufffd') || isTooLongName(text) ? undefined : text
}

export const userAgentIn = (value: unknown): string | undefined =>
  textIn(typeof value === 'string' ? beginningOfAgent(value) : value)

/** The first valid address of several values, the preferred one first. A value may be an X-Forwarded-For list. */
export const firstAddressIn = (values: readonly unknown[]): string | undefined => {
  for (const value of values) {
    const address = typeof value === 'string' ? firstAddressOf(value) : undefined
    if (address !== undefined) return address
  }
  return undefined
}

const STATUS = /^[1-9]\d\d$/
/** In place of a status, for a client that left before the answer: Envoy and CloudFront, HAProxy, AWS load balancers. */
const NO_ANSWER: readonly unknown[] = ['0', '000', '-1', '-']

/** An HTTP status, or a status of a proxy such as 499; 0 if the server sent no answer, and undefined for any other value. */
export const statusIn = (value: unknown): number | undefined => {
  const text = typeof value === 'number' ? String(value) : value
  if (typeof text === 'string' && STATUS.test(text)) return Number(text)
  return NO_ANSWER.includes(text) ? 0 : undefined
}

const DIGITS = /^\+?\d{1,16}$/

/** A number of bytes; undefined for any other value. HAProxy writes a `+` if the transfer went on after the line was logged. */
export const bytesIn = (value: unknown): number | undefined => {
  const bytes = typeof value === 'string' && DIGITS.test(value) ? Number(value) : value
  return typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes >= 0 ? bytes : undefined
}

/** A URL without query and fragment: anyone who knows the query of a signed URL can download the object. */
export const refererIn = (value: unknown): string | undefined =>
  typeof value === 'string' ? textIn(value.split(/[?#]/, 1)[0]) : undefined

const MEDIA_TYPE = /^[a-z0-9][\w!#$&^.+-]{0,126}\/[a-z0-9][\w!#$&^.+-]{0,126}$/i

/** A media type without its parameters (RFC 9110, section 8.3.1). */
export const mediaTypeIn = (value: unknown): string | undefined => {
  if (typeof value !== 'string') return undefined
  const [type = ''] = value.split(';', 1)
  return MEDIA_TYPE.test(type.trim()) ? type.trim() : undefined
}
