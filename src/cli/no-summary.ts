/** The note for numbers from the summary of the inventory before the first summary. */
export const NO_SUMMARY = 'no summary has been made yet: tallyman inventory refresh'
