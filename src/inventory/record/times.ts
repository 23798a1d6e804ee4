import { isoTime, type Micros } from '../../events/calendar.js'
import type { Times } from './observations.js'

/** For each named column, an array of the times of all rows. */
export const times = (rows: readonly Times[], columns: readonly (keyof Times)[]): (string | null)[][] =>
  columns.map((column) => rows.map((row) => time(row[column])))

/** A time in the format of PostgreSQL. */
export const time = (at: Micros | undefined): string | null => (at === undefined ? null : isoTime(at))
