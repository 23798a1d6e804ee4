import type { Response } from 'express'

/** The largest number of characters of all notes: proxies allow at least 4 KiB for all headers of a response. */
const MOST_CHARACTERS = 2_500

/** The parts of an answer other than its rows. */
type AnswerMetadata = {
  /** The time of the summary from which the rows come; null before the first summary. */
  as_of?: string | null | undefined
  /** The part of the answer that may still change. */
  provisional?: { since: string } | undefined
  /** Counts of unknown objects. */
  unknown?: object | undefined
  notes?: readonly string[] | undefined
}

/**
 * Sets headers for the data that CSV and NDJSON cannot contain: `Tallyman-As-Of` (a time, or `never`), `Tallyman-Provisional-Since`
 * (a time), `Tallyman-Unknown` (a JSON object) and `Tallyman-Notes` (a JSON array of sentences). All are ASCII. The last sentence
 * contains the number of notes that did not fit into 2,500 characters.
 */
export const setAnswerHeaders = (
  response: Pick<Response, 'set'>,
  { as_of, provisional, unknown, notes = [] }: AnswerMetadata,
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

/** JSON in which all characters except printable ASCII are escaped. */
const asciiJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
