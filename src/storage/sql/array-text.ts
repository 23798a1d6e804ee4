/**
 * An array in PostgreSQL's input syntax (its manual, "Array Input and Output Syntax"), for a parameter with a cast such as
 * `::text[]`. The driver's own function accepts more types of values and takes several times as long.
 * @param values numbers must be finite
 */
export const arrayText = (values: readonly (string | number | boolean | null)[]): string => {
  // JSON escapes more characters than an array, but is written much faster. Without escapes, both differ only in their brackets.
  const json = JSON.stringify(values)
  if (!json.includes('\\')) return `{${json.slice(1, -1)}}`
  let text = '{'
  for (let i = 0; i < values.length; i++) {
    const value = values[i]
    if (i > 0) text += ','
    text += typeof value === 'string' ? quoted(value) : String(value)
  }
  return `${text}}`
}

const quoted = (text: string): string => `"${text.replace(/["\\]/g, '\\$&')}"`
