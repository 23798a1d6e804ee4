const TEXTS: ReadonlyMap<string, boolean> = new Map([
  ...['true', 'yes', 'on', '1'].map((text) => [text, true] as const),
  ...['false', 'no', 'off', '0'].map((text) => [text, false] as const),
])

/** The boolean that a value of the configuration is, also as YAML 1.1 and people write it, in any case; undefined if it is none. */
export const readYesOrNo = (value: unknown): boolean | undefined =>
  typeof value === 'string' ? TEXTS.get(value.toLowerCase()) : typeof value === 'boolean' ? value : undefined
