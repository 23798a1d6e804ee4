import { isoTime, type Micros } from '../../events/calendar.js'
import type { Times } from './observations.js'

/** A column of times for each that is named. */
export const times = (rows: readonly Times[], columns: readonly (keyof Times)[]): (string | null)[][] =>
  columns.map((column) => rows.map((row) => time(row[column])))

/** A time as PostgreSQL takes it. */
export const time = (at: Micros | undefined): string | null => (at === undefined ? null : isoTime(at))
