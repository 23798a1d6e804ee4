import type { Response } from 'express'

/** Characters of all notes: proxies allow 4 KiB or more for all headers of a response. */
const MOST_CHARACTERS = 2_500

/** What an answer says beside its rows. */
type Besides = {
  /** When the summary was made that the rows are from; null before the first. */
  as_of?: string | null | undefined
  /** What may change yet. */
  provisional?: { since: string } | undefined
  /** Counts of what is not known. */
  unknown?: object | undefined
  notes?: readonly string[] | undefined
}

/**
 * Sets headers for what CSV and NDJSON have no room for: `Tallyman-As-Of` (a time, or `never`), `Tallyman-Provisional-Since` (a
 * time), `Tallyman-Unknown` (a JSON object) and `Tallyman-Notes` (a JSON array of sentences). All are ASCII; notes that have no
 * room in 2,500 characters are counted in the last sentence.
 */
export const setAnswerHeaders = (
  response: Pick<Response, 'set'>,
  { as_of, provisional, unknown, notes = [] }: Besides,
): void => {
  if (as_of !== undefined) response.set('Tallyman-As-Of', as_of ?? 'never')
  if (provisional) response.set('Tallyman-Provisional-Since', provisional.since)
  if (unknown) response.set('Tallyman-Unknown', asciiJson(unknown))
  if (notes.length > 0) response.set('Tallyman-Notes', asciiJson(bounded(notes)))
}

const bounded = (notes: readonly string[]): readonly string[] => {
  let room = MOST_CHARACTERS
  const isAllowed = notes.map((note) => (room -= asciiJson(note).length + 1) >= 0)
  const left = isAllowed.filter((allowed) => !allowed).length
  if (left === 0) return notes
  return [...notes.filter((_, i) => isAllowed[i]), `${left} more notes are in the format json.`]
}

/** JSON in which everything but printable ASCII is escaped. */
const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
