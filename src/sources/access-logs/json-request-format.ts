import { isFields, type Fields } from '../../events/json.js'
import { createReadTime } from './json-time.js'
import type { LogFormat, LogLine } from './log-format.js'
import { OTHER, toRequest, unreadable, type RequestValues } from './logged-line.js'

/** The object of a JSON line; undefined if the line is not JSON or not an object. */
export const fieldsOf = (line: string): Fields | undefined => {
  // A byte order mark counts as a space.
  const text = line.trimStart()
  if (!text.startsWith('{')) return undefined
  try {
    const value: unknown = JSON.parse(text)
    return isFields(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** The object in a field; an empty object if the field contains none. */
export const fieldsIn = (value: unknown): Fields => (isFields(value) ? value : {})

/** The first of the values of a header; undefined if the headers are not lists by name, as Go programs log them. */
export const headerIn = (headers: unknown, name: string): unknown => {
  const values = fieldsIn(headers)[name]
  return Array.isArray(values) ? values[0] : undefined
}

/** The unchecked values of a line, with its time. */
export type TimedValues = RequestValues & { time: unknown }

type JsonRequestFormat = Pick<LogFormat, 'name' | 'title'> & {
  /** Whether an object reports a request. Other objects are messages about something else. */
  isRequest: (fields: Fields) => boolean
  valuesOf: (fields: Fields) => TimedValues
}

/** A format with one JSON object a line, whose names are fixed. */
export const jsonRequestFormat = ({ name, title, isRequest, valuesOf }: JsonRequestFormat): LogFormat => ({
  name,
  title,
  recognizes: (line) => {
    const fields = fieldsOf(line)
    return fields !== undefined && isRequest(fields)
  },
  createReader: ({ timeZone }) => {
    const readTime = createReadTime(timeZone)
    return (line) =>
      readFields(line, (fields) => {
        if (!isRequest(fields)) return OTHER
        const values = valuesOf(fields)
        return toRequest(readTime(values.time), values)
      })
  },
})

/** Reads the object of a line. An empty line is no request, and a line that is not an object is unreadable. */
export const readFields = (line: string, read: (fields: Fields) => LogLine): LogLine => {
  const fields = fieldsOf(line)
  if (fields) return read(fields)
  return line.trim() === '' ? OTHER : unreadable('the line is not a JSON object')
}
