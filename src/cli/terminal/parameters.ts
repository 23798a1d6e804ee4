/** Options of commander are in camel case, parameters of the API in snake case. Of the program itself there is `config`, read by now. */
export const parametersOf = (options: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(options)
      .filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[0] !== 'config')
      .map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  )
