/** A registry that the operator named. */
export type Registry = {
  /** What it is called in every table and answer: mostly the host of its images' names. */
  name: string
  /** Other hosts under which clients reach it. */
  aliases: readonly string[]
  /** Where it is asked, as https://host:port; without one it is never asked. */
  url?: string
  /** The host of its token server, if that is on another site than `url`; with a port unless it is that of the scheme. */
  tokenHost?: string
  /** For basic authentication, or to get a token with. */
  username?: string
  password?: string
  /**
   * Whether it is a pull-through cache, which fetches from its upstream what it is asked for: then it is never asked for tags,
   * manifests or blobs. Missing if the operator did not say.
   */
  cache?: boolean
}

/** The names of those that are pull-through caches. */
export const cachesIn = (registries: readonly Registry[]): string[] =>
  registries.flatMap(({ name, cache }) => (cache === true ? [name] : []))

/** The registries that the operator named; what events and questions say of a host is said of its registry. */
export type Registries = {
  /** The name of the registry that is reached as this host; a host that nobody named is its own registry. */
  nameOf: (host: string) => string
  list: () => readonly Registry[]
  /** Each alias, and the name of its registry. */
  aliases: () => ReadonlyMap<string, string>
}

/** The aliases of one registry. */
export const aliasesOfRegistry = ({ aliases }: Pick<Registries, 'aliases'>, registry: string): string[] =>
  [...aliases()].flatMap(([alias, name]) => (name === registry ? [alias] : []))

/** The registries of the configuration, which may be read again. */
export type ConfiguredRegistries = Registries & {
  /** The name of the registry that the configuration gives a host to; undefined if the configuration does not contain it. */
  configuredName: (host: string) => string | undefined
  /** Reads the registries again. @throws what reading throws; the previous ones then stay. */
  reload: () => void
}

/** @param names further names that the operator chose, as those of notification tokens; aliases apply to them, too. */
export const createRegistries = (
  read: () => readonly Registry[],
  names: readonly string[] = [],
): ConfiguredRegistries => {
  let registries = read()
  let aliases = aliasesIn(registries)
  let owners = ownersIn(registries, aliases, names)
  return {
    nameOf: (host) => aliases.get(host) ?? host,
    list: () => registries,
    aliases: () => aliases,
    configuredName: (host) => owners.get(host),
    reload: () => {
      registries = read()
      aliases = aliasesIn(registries)
      owners = ownersIn(registries, aliases, names)
    },
  }
}

const aliasesIn = (registries: readonly Registry[]): Map<string, string> =>
  new Map(
    registries.flatMap(({ name, aliases }) =>
      aliases.filter((alias) => alias !== name).map((alias) => [alias, name] as const),
    ),
  )

const ownersIn = (
  registries: readonly Registry[],
  aliases: ReadonlyMap<string, string>,
  names: readonly string[],
): Map<string, string> =>
  new Map([
    ...[...names, ...registries.map(({ name }) => name)].map((name) => [name, aliases.get(name) ?? name] as const),
    ...aliases,
  ])
