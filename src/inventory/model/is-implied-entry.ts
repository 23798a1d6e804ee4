import { FOREIGN_LAYER } from '../../events/descriptor.js'

/**
 * Whether a repository that has the manifest has this entry of it, too, as SQL: the rule `isImplied` of events/descriptor.ts.
 * @param mediaType an expression
 */
export const isImpliedEntry = (mediaType: string): string =>
  `(${mediaType} is null or ${mediaType} !~ '${FOREIGN_LAYER}')`
