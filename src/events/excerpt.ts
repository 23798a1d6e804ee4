/** An object of JSON whose fields are not known. */
export type Fields = Record<string, unknown>

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const LONGEST_EXCERPT = 2_000
const HARMLESS = ['mediaType', 'digest', 'repository', 'tag', 'size'] as const

/** Enough to find the culprit, nothing that identifies a client. */
export const excerptOf = (item: unknown): string => {
  if (!isFields(item)) return JSON.stringify(typeof item)
  const target = isFields(item.target)
    ? Object.fromEntries(
        HARMLESS.filter((key) => key in (item.target as Fields)).map((key) => [
          key,
          short((item.target as Fields)[key]),
        ]),
      )
    : short(item.target)
  const { id, timestamp, action } = item
  const excerpt = { id: short(id), timestamp: short(timestamp), action: short(action), target }
  return JSON.stringify(excerpt).slice(0, LONGEST_EXCERPT)
}

const short = (value: unknown): unknown => {
  if (typeof value === 'string') return value.length > 200 ? `${value.slice(0, 200)}…` : value
  return typeof value === 'object' && value !== null ? typeof value : value
}

/** A hostile item can be nested deeper than the stack; its harmless fields must do for it. */
export const jsonOf = (item: unknown): string => {
  try {
    return JSON.stringify(item)
  } catch {
    return excerptOf(item)
  }
}
