/** A field of a line, without its quotes or brackets. */
export type Field = { text: string; isQuoted: boolean }

/** How a format writes a quote within a quoted field: with a backslash before it, or without any escape. */
export type Quoting = 'escaped' | 'raw'

/**
 * Splits a line into fields at spaces. A field in quotes or brackets may contain spaces. It ends at the first quote or bracket
 * before a space or the end of the line, so that a quote within a raw field does not end the field. Escapes stay as they are.
 * @param from where the first field begins
 * @param most the number of fields after which the rest of the line is not read
 * @returns undefined if a quoted field has no end
 */
export const fieldsInLine = (line: string, from: number, most: number, quoting: Quoting): Field[] | undefined => {
  const fields: Field[] = []
  let start = from
  while (fields.length < most) {
    while (line[start] === ' ') start++
    if (start >= line.length) break
    const isQuoted = line[start] === '"'
    const close = isQuoted
      ? endOf(line, '"', start, quoting)
      : line[start] === '['
        ? endOf(line, ']', start, 'raw')
        : -1
    if (isQuoted && close < 0) return undefined
    const space = line.indexOf(' ', start)
    const end = close >= 0 ? close : space < 0 ? line.length : space
    fields.push({ text: line.slice(close >= 0 ? start + 1 : start, end), isQuoted })
    start = end + 1
  }
  return fields
}

const endOf = (line: string, mark: string, start: number, quoting: Quoting): number => {
  for (let end = line.indexOf(mark, start + 1); end >= 0; end = line.indexOf(mark, end + 1)) {
    const isLast = end + 1 === line.length || line[end + 1] === ' '
    if (isLast && !(quoting === 'escaped' && isEscaped(line, end, start))) return end
  }
  return -1
}

/** Whether an odd number of backslashes is before a character. */
const isEscaped = (line: string, at: number, start: number): boolean => {
  let first = at
  while (first - 1 > start && line[first - 1] === '\\') first--
  return (at - first) % 2 === 1
}
