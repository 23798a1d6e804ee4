import { NotYaml, TooManyKeys } from './parse-yaml.js'

/** Where a text is not YAML, by an error of parseYaml; other errors may quote secrets of the text. */
export const yamlProblem = (error: unknown): string =>
  error instanceof TooManyKeys || error instanceof NotYaml ? error.message : 'not YAML'
