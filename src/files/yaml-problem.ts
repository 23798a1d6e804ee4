import { YAMLParseError } from 'yaml'
import { TooManyKeys } from './parse-yaml.js'

/** Where a text is not YAML, by an error of the parser, whose message may quote secrets of the text. */
export const yamlProblem = (error: unknown): string => {
  if (error instanceof TooManyKeys) return 'a map has more than 3,000 keys'
  const [start] = (error instanceof YAMLParseError ? error.linePos : undefined) ?? []
  return start === undefined ? 'not YAML' : `not YAML at line ${start.line}, column ${start.col}`
}
