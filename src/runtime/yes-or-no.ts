const TEXTS: ReadonlyMap<string, boolean> = new Map([
  ...['true', 'yes', 'on', '1'].map((text) => [text, true] as const),
  ...['false', 'no', 'off', '0'].map((text) => [text, false] as const),
])

/** Reads a boolean of the configuration, also in the forms of YAML 1.1, in any case; undefined if the value is no boolean. */
export const readYesOrNo = (value: unknown): boolean | undefined =>
  typeof value === 'string' ? TEXTS.get(value.toLowerCase()) : typeof value === 'boolean' ? value : undefined
