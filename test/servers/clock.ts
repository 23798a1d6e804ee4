/** The time of tests that need no other: a Saturday in ISO week 47. */
export const NOW = new Date('2026-11-21T12:00:00Z')

/** The clock of the product inside a test: stands still, so that no test depends on the day on which it runs. */
export const fixedClock = (): Date => new Date(NOW)

/**
 * The machine's clock, for programs outside the test: a registry, the service as a process of its own, a database that
 * compares with its own clock, times of files.
 */
export const machineClock = (): Date => new Date()
