/** A copy of a text that shares no memory with another text. A substring in V8 keeps the whole original text in memory. */
export const flatCopy = (text: string): string => Buffer.from(text, 'utf16le').toString('utf16le')
