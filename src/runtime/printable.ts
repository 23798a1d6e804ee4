/**
 * Characters that control a terminal, or that change or hide the text that a person reads: controls (C0, DEL, C1), formats
 * (bidirectional controls, zero-width characters, tags), line and paragraph separators, lone surrogates, and characters that Unicode
 * ignores by default (variation selectors, fillers).
 */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu
const UNPRINTABLE_BUT_LINE_FEED = new RegExp(`(?!\n)${UNPRINTABLE.source}`, 'gu')

/** Escapes a character like JSON, so that JSON stays valid with the same meaning. */
const escaped = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
  ).join('')

/** One line that is safe to print: each unprintable character becomes `\uXXXX`. */
export const printable = (text: string): string => text.replace(UNPRINTABLE, escaped)

/** As `printable`, for a text of several lines: its line feeds stay. */
export const printableLines = (text: string): string => text.replace(UNPRINTABLE_BUT_LINE_FEED, escaped)
