/**
 * A copy of a text that shares no memory with another one. What V8 cuts out of a long text keeps all of it in memory, for as long as the
 * piece is remembered.
 */
export const flatCopy = (text: string): string => Buffer.from(text, 'utf16le').toString('utf16le')
