/** Knows under which id a person is counted. Names compare without case. */
export type UserDirectory = {
  kind: 'hash' | 'file' | 'gitlab'
  /** The id of a name; undefined when nobody has it. May throw DirectoryUnavailable. */
  idOf: (name: string) => string | undefined | Promise<string | undefined>
  close: () => void
}

/** The directory cannot be asked now. */
export class DirectoryUnavailable extends Error {}

/** The form under which names are compared and cached. */
export const comparable = (name: string): string => name.toLowerCase()
