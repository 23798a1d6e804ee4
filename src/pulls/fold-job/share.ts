/** Returns the same string object for all equal strings, so that many requests in memory take little room. */
export type Share = <Text extends string>(text: Text) => Text

export const createShare = (): Share => {
  const known = new Map<string, string>()
  return <Text extends string>(text: Text): Text => {
    const first = known.get(text)
    if (first !== undefined) return first as Text
    known.set(text, text)
    return text
  }
}
