/** The sentence for an empty answer about a repository that no event and no registry has shown. */
export const unknownRepository = (name: string): string =>
  `The inventory has no repository "${name}"; "tallyman inventory repositories" lists all repositories.`
