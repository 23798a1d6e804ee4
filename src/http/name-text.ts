import { z } from 'zod'
import { isStorableText } from '../events/storable-text.js'

/**
 * The schema of a name that a client sends.
 * @param longest characters
 */
export const nameText = (longest: number): z.ZodString =>
  z
    .string()
    .min(1, 'is empty')
    .max(longest, `is longer than ${longest} characters`)
    .refine(isStorableText, 'contains characters that no name has')
