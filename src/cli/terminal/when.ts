/** A time in a readable form, for example `2026-11-27 16:36:00 UTC`. */
export const when = (time: Date | string): string =>
  new Date(time).toISOString().replace('T', ' ').slice(0, 19) + ' UTC'
