const [QUOTE, COMMA, BRACKET, BACKSLASH, BRACE] = [0x22, 0x2c, 0x5b, 0x5c, 0x7b]

/**
 * Whether a JSON text (RFC 8259, UTF-8) has more than `most` of `,`, `{` and `[` outside its strings. Each value needs one of
 * them, except the first value of a list or an object. So their number limits the memory that a parser allocates. In a text that is
 * not JSON, the tokens are those that a parser reads, up to the position at which the parser fails.
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

/** The position of the closing quote of the string that begins at `from`; the end of the text if there is no closing quote. */
export const endOfString = (json: Uint8Array, from: number): number => {
  let i = from + 1
  for (; i < json.length && json[i] !== QUOTE; i++) if (json[i] === BACKSLASH) i++
  return i
}
