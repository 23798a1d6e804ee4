/** Returns the id under which a person is counted. Names are compared without case. */
export type UserDirectory = {
  kind: 'hash' | 'file' | 'gitlab'
  /** The id of a name; undefined if no user has the name. @throws DirectoryUnavailable */
  idOf: (name: string) => string | undefined | Promise<string | undefined>
  close: () => void
}

/** The user directory is unavailable. */
export class DirectoryUnavailable extends Error {}

/** The form in which names are compared and cached. */
export const comparable = (name: string): string => name.toLowerCase()
