/** Whether a text can be stored unchanged: PostgreSQL refuses a NUL, and a lone surrogate becomes another character in UTF-8. */
export const isStorableText = (text: string): boolean => !text.includes('\0') && text.isWellFormed()
