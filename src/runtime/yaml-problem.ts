import { NotYaml, TooManyKeys } from './parse-yaml.js'

/** The message for an error of parseYaml. Other errors are not quoted, because they may contain secrets. */
export const yamlProblem = (error: unknown): string =>
  error instanceof TooManyKeys || error instanceof NotYaml ? error.message : 'not YAML'
