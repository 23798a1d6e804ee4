import { isDay, isoWeek } from './period.js'

/** An example value of each time dimension. */
export const TIME_EXAMPLES = {
  hour: '2026-11-28T18:00',
  day: '2026-11-28',
  week: '2026-W48',
  month: '2026-11',
} as const

export type TimeName = keyof typeof TIME_EXAMPLES

export const isTimeName = (name: string): name is TimeName => Object.hasOwn(TIME_EXAMPLES, name)

const IS_TIME: Record<TimeName, (value: string) => boolean> = {
  hour: (value) => /T(?:[01]\d|2[0-3]):00$/.test(value) && isDay(value.slice(0, -'T00:00'.length)),
  day: isDay,
  week: (value) => isoWeek(value.toLowerCase()) !== undefined && value.includes('W'),
  month: (value) => /^\d{4}-\d\d$/.test(value) && isDay(`${value}-01`),
}

const shapeOf = (text: string): string => text.replace(/\d/g, '0')

/** Whether a text is a value of a time dimension, for example `2026-W48`, or, if it ends in `*`, a possible beginning of one. */
export const isTimeValue = (name: TimeName, text: string): boolean =>
  text.endsWith('*') ? shapeOf(TIME_EXAMPLES[name]).startsWith(shapeOf(text.slice(0, -1))) : IS_TIME[name](text)
