/** `<priority>`, time, host and tag of RFC 3164, section 4.1. Files have no priority; local senders write no host. */
const RFC_3164 =
  /^(?:<\d{1,3}>)?(?:[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)) (?:[^\s"]{1,255} )?[^\s:[\]"]{1,255}(?:\[[^\]\s]{0,128}\])?:(?: |$)/
/** The header of RFC 5424, section 6, without the structured data. */
const RFC_5424 = /^<\d{1,3}>1 (?:-|[0-9T:.+Z-]{1,64}) [!-~]{1,255} [!-~]{1,48} [!-~]{1,128} [!-~]{1,32} /

/** The message of a syslog line (RFC 3164, also with a time of RFC 3339 as rsyslog writes it; RFC 5424); undefined for other lines. */
export const withoutSyslogPrefix = (line: string): string | undefined => {
  const [header] = RFC_5424.exec(line) ?? []
  if (header !== undefined) {
    const end = endOfStructuredData(line, header.length)
    return end === undefined ? undefined : line.slice(end).replace(/^\ufeff/, '')
  }
  const [prefix] = RFC_3164.exec(line) ?? []
  return prefix === undefined ? undefined : line.slice(prefix.length)
}

/** The position of the message: `-`, or elements in brackets whose quoted values may contain brackets (section 6.3), and a space. */
const endOfStructuredData = (line: string, from: number): number | undefined => {
  let i = from
  if (line[i] === '-') i++
  else {
    while (line[i] === '[') {
      const end = endOfElement(line, i)
      if (end === undefined) return undefined
      i = end
    }
    if (i === from) return undefined
  }
  if (i === line.length) return i
  return line[i] === ' ' ? i + 1 : undefined
}

const endOfElement = (line: string, from: number): number | undefined => {
  let isQuoted = false
  for (let i = from + 1; i < line.length; i++) {
    const character = line[i]
    if (isQuoted && character === '\\') i++
    else if (character === '"') isQuoted = !isQuoted
    else if (character === ']' && !isQuoted) return i + 1
  }
  return undefined
}
