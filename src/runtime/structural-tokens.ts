const [QUOTE, COMMA, BRACKET, BACKSLASH, BRACE] = [0x22, 0x2c, 0x5b, 0x5c, 0x7b]

/**
 * Whether a JSON text (RFC 8259, UTF-8) has more than `most` of `,`, `{` and `[` outside its strings. Each value needs one of
 * them, except the first of a list or an object. So they bound what a parser allocates before the parser starts. A text that
 * is not JSON has the same tokens as a parser sees, up to the place where the parser gives up.
 */
export const hasMoreStructuralTokens = (json: Uint8Array, most: number): boolean => {
  let tokens = 0
  for (let i = 0; i < json.length; i++) {
    const byte = json[i]
    if (byte === QUOTE) i = endOfString(json, i)
    else if ((byte === COMMA || byte === BRACE || byte === BRACKET) && ++tokens > most) return true
  }
  return false
}

/** Where the string that begins at `from` has its closing quote; the end of the text if it has none. */
export const endOfString = (json: Uint8Array, from: number): number => {
  let i = from + 1
  for (; i < json.length && json[i] !== QUOTE; i++) if (json[i] === BACKSLASH) i++
  return i
}
