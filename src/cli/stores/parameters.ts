/** Converts options of commander (camel case) to parameters of the API (snake case), without the option `config` of the program. */
export const parametersOf = (options: Readonly<Record<string, unknown>>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(options)
      .filter((entry): entry is [string, string] => typeof entry[1] === 'string' && entry[0] !== 'config')
      .map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
  )
