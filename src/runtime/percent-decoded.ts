/** The text that a percent-encoded part of a URL stands for; undefined if it is not percent-encoded UTF-8. */
export const percentDecoded = (text: string): string | undefined => {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
