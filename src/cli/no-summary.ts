/** What to say beside numbers from the summary of the inventory before there is one. */
export const NO_SUMMARY = 'no summary has been made yet: tallyman inventory refresh'
