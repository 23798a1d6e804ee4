import type { Registries, Registry } from '../../registries/registries.js'

/** A registry that is not configured to be asked. The message says how it would be. */
export class RegistryNotReadable extends Error {}

/** The registries that can be asked: those with an address. */
export const readableRegistries = (registries: Registries): Registry[] =>
  registries.list().filter(({ url }) => url !== undefined)

/**
 * The registries that somebody wants: the one of a name or an alias, or else all that can be asked.
 * @throws RegistryNotReadable when there is none
 */
export const selectedRegistries = (registries: Registries, wanted: string | undefined): Registry[] => {
  const readable = readableRegistries(registries)
  if (readable.length === 0) {
    throw new RegistryNotReadable(
      'no registry has an address to be asked at; give it one in the configuration, as ' +
        'registries: { registry.example.com: { url: "https://registry.example.com" } }',
    )
  }
  if (wanted === undefined) return readable
  const registry = readable.find(({ name }) => name === registries.nameOf(wanted.toLowerCase()))
  if (!registry) {
    throw new RegistryNotReadable(
      `${wanted} is not a registry with a "url"; the registries with one are ${readable.map(({ name }) => name).join(', ')}. ` +
        'Name another in the configuration, under registries, with its url',
    )
  }
  return [registry]
}
