/** A registry that the operator named. */
export type Registry = {
  /** What it is called in every table and answer: mostly the host of its images' names. */
  name: string
  /** Other hosts under which clients reach it. */
  aliases: readonly string[]
  /** Where it is asked, as https://host:port; without one it is never asked. */
  url?: string
  /** For basic authentication, or to get a token with. */
  username?: string
  password?: string
}

/** The registries that the operator named; what events and questions say of a host is said of its registry. */
export type Registries = {
  /** The name of the registry that is reached as this host; a host that nobody named is its own registry. */
  nameOf: (host: string) => string
  list: () => readonly Registry[]
  /** Each alias, and the name of its registry. */
  aliases: () => ReadonlyMap<string, string>
}

export const createRegistries = (read: () => readonly Registry[]): Registries & { reload: () => void } => {
  let registries = read()
  let names = namesIn(registries)
  return {
    nameOf: (host) => names.get(host) ?? host,
    list: () => registries,
    aliases: () => names,
    /** Reads them again. @throws what reading throws; those of before then stay. */
    reload: () => {
      registries = read()
      names = namesIn(registries)
    },
  }
}

const namesIn = (registries: readonly Registry[]): Map<string, string> =>
  new Map(
    registries.flatMap(({ name, aliases }) =>
      aliases.filter((alias) => alias !== name).map((alias) => [alias, name] as const),
    ),
  )
